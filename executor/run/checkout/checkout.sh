#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts the files of the operator's work tree into the workspace, those that git does not
# ignore, with what has not been committed. Runs inside, as the job.
set -eu

tree=/opt/zviz/repository/tree
git=/opt/zviz/repository/git
[ ! -f /opt/zviz/repository/name ] || git=$git/$(cat /opt/zviz/repository/name)

refuse() {
	echo "::error title=checkout::$1"
	exit 1
}

lower() { printf %s "$1" | tr '[:upper:]' '[:lower:]'; }

real="run the real action with --local-action actions/checkout=DIR, a copy of it, and allow its host"
[ "$(lower "$ZVIZ_REPOSITORY")" = "$(lower "$GITHUB_REPOSITORY")" ] ||
	refuse "$ZVIZ_REPOSITORY is not the repository of this run, whose files are checked out from this machine: $real"
[ "$(lower "$ZVIZ_SUBMODULES")" = false ] || refuse "submodules are not fetched from this machine: $real"
[ "$(lower "$ZVIZ_LFS")" = false ] || refuse "files of Git LFS are not fetched from this machine: $real"

case $ZVIZ_PATH in
/*) to=$ZVIZ_PATH ;;
*) to=$GITHUB_WORKSPACE/$ZVIZ_PATH ;;
esac
mkdir -p "$to"
to=$(cd "$to" && pwd -P)
case $to/ in
"$GITHUB_WORKSPACE"/*) ;;
*) refuse "path '$ZVIZ_PATH' is not below the workspace" ;;
esac
# As the action does with what an earlier step left there.
find "$to" -mindepth 1 -delete

output() { printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"; }

if [ ! -e "$git/HEAD" ] || ! command -v git >/dev/null; then
	[ -z "$ZVIZ_REF" ] || refuse "ref '$ZVIZ_REF': what is run is no git repository, or there is no git here"
	tar -C "$tree" -cf - . | tar -C "$to" -xf -
	echo "Copied the folder; it is no git repository"
	exit 0
fi

# Whose the files are is said by the mount, not by git.
GIT_CONFIG_GLOBAL=$RUNNER_TEMP/zviz-checkout-$$ GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0
export GIT_CONFIG_GLOBAL GIT_OPTIONAL_LOCKS GIT_TERMINAL_PROMPT
printf '[safe]\n\tdirectory = *\n[advice]\n\tdetachedHead = false\n[protocol "file"]\n\tallow = always\n[uploadpack]\n\tallowAnySHA1InWant = true\n' >"$GIT_CONFIG_GLOBAL"
trap 'rm -f "$GIT_CONFIG_GLOBAL" "$GIT_CONFIG_GLOBAL".list' EXIT

# The operator's repository, without what its own configuration would start.
from() { git --git-dir="$git" --work-tree="$tree" -c core.fsmonitor=false -c core.untrackedCache=false -C "$tree" "$@"; }

what=${ZVIZ_REF:-HEAD}
branch=
case $what in
HEAD) branch=${GITHUB_REF#refs/heads/}; [ "$branch" != "$GITHUB_REF" ] || branch= ;;
refs/heads/*) branch=${what#refs/heads/} ;;
*) if from show-ref --verify --quiet "refs/heads/$what"; then branch=$what what=refs/heads/$what; fi ;;
esac
if ! from rev-parse --verify --quiet "$what^{commit}" >/dev/null; then
	[ "$what" = HEAD ] || refuse "ref '$ZVIZ_REF' is not in the local repository: fetch it there first"
	git init --quiet "$to" # nothing was ever committed
else
	git init --quiet "$to"
	set --
	[ "$ZVIZ_DEPTH" = 0 ] || set -- --depth "$ZVIZ_DEPTH"
	if [ "$ZVIZ_DEPTH" = 0 ] || [ "$(lower "$ZVIZ_TAGS")" = true ]; then set -- "$@" --tags; else set -- "$@" --no-tags; fi
	refs="+$what:refs/remotes/origin/${branch:-zviz-head}"
	if [ "$ZVIZ_DEPTH" = 0 ]; then
		set -- "$@" "file://$git" "+refs/heads/*:refs/remotes/origin/*" "$refs"
	else
		set -- "$@" "file://$git" "$refs"
	fi
	git -C "$to" fetch --quiet "$@"
	if [ -n "$ZVIZ_SPARSE" ]; then
		cone=--cone
		[ "$(lower "$ZVIZ_CONE")" = true ] || cone=--no-cone
		printf '%s\n' "$ZVIZ_SPARSE" | git -C "$to" sparse-checkout set $cone --stdin
	fi
	if [ -n "$branch" ]; then
		git -C "$to" checkout --quiet --force -B "$branch" "refs/remotes/origin/$branch"
	else
		git -C "$to" checkout --quiet --force --detach refs/remotes/origin/zviz-head
		git -C "$to" update-ref -d refs/remotes/origin/zviz-head
	fi
	output commit "$(git -C "$to" rev-parse HEAD)"
fi
output ref "${ZVIZ_REF:-$GITHUB_REF}"
git -C "$to" remote add origin "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"
[ -z "$ZVIZ_REF" ] || exit 0 # another commit: nothing of the work tree belongs to it

# What is different in the work tree, and what is new and not ignored.
list=$GIT_CONFIG_GLOBAL.list
if from rev-parse --verify --quiet HEAD >/dev/null; then
	from diff --no-ext-diff --no-textconv --no-renames --ignore-submodules --name-only -z --diff-filter=D HEAD >"$list"
	(cd "$to" && xargs -0 -r rm -f -- <"$list")
	from diff --no-ext-diff --no-textconv --no-renames --ignore-submodules --name-only -z --diff-filter=d HEAD >"$list"
else
	from ls-files -z --cached >"$list"
fi
if [ -z "$ZVIZ_SPARSE" ]; then from ls-files -z --others --exclude-standard >>"$list"; fi
if [ -s "$list" ]; then
	(cd "$to" && xargs -0 -r rm -rf -- <"$list") # a link of the commit is not written through
	tar -C "$tree" --null --verbatim-files-from --files-from "$list" -cf - | tar -C "$to" -xf -
	echo "Took $(tr -cd '\0' <"$list" | wc -c) files as they are in the work tree, not committed"
fi
