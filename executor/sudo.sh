#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The sudo of a job. It runs the command as it is and grants nothing; what it does
# with options follows sudo(8), 1.9. A job that is root itself (profile root) may
# become another user of its own, which is what -u does there.
#
# Names begin with _sudo_, since a variable that is exported already stays so and
# the command would see it changed.

_sudo_fail() { printf 'sudo: %s\n' "$1" >&2; exit 1; }

_sudo_usage() {
	cat <<-'END'
	usage: sudo -h | -K | -k | -V | -v
	usage: sudo -l [-U user] [-u user] [command [arg ...]]
	usage: sudo [-ABbEHnPS] [-D directory] [-g group] [-p prompt] [-u user] [VAR=value] [-i | -s] [command [arg ...]]
	Nothing more is granted here: the command runs as it is.
	END
}

# Once a job: /tmp is the job's, and its steps share it. A second sudo at the same
# time makes no second line, since only one of them can make the file.
_sudo_say() {
	[ -e /tmp/.sudo-said ] && return
	if (set -C; : >/tmp/.sudo-said) 2>/dev/null || [ ! -e /tmp/.sudo-said ]; then
		echo "sudo: nothing more is granted in this sandbox: the command runs as it is (uid $_sudo_me)" >&2
	fi
}

# The file of the program $1, found as execvp(3) does. A builtin of the shell is none.
_sudo_find() (
	case $1 in
	*/*) [ -f "$1" ] && [ -x "$1" ] && printf '%s\n' "$1"; exit ;;
	esac
	set -f
	IFS=:
	for d in $PATH; do
		[ -f "${d:-.}/$1" ] && [ -x "${d:-.}/$1" ] && printf '%s\n' "${d:-.}/$1" && exit
	done
	exit 1
)

# Field $2 of the account $1, a name or a number.
_sudo_account() {
	while IFS=: read -r _sudo_n _sudo_p _sudo_u _sudo_g _sudo_c _sudo_h _sudo_s; do
		[ "$_sudo_n" = "$1" ] || [ "$_sudo_u" = "$1" ] || continue
		case $2 in
		name) echo "$_sudo_n" ;;
		uid) echo "$_sudo_u" ;;
		gid) echo "$_sudo_g" ;;
		home) echo "$_sudo_h" ;;
		shell) echo "$_sudo_s" ;;
		esac
		return
	done </etc/passwd 2>/dev/null
	return 1
}

# A group's number, of its name or number.
_sudo_gid() {
	while IFS=: read -r _sudo_n _sudo_p _sudo_g _sudo_c; do
		[ "$_sudo_n" = "$1" ] || [ "$_sudo_g" = "$1" ] || continue
		echo "$_sudo_g"
		return
	done </etc/group 2>/dev/null
	return 1
}

_sudo_user= _sudo_group= _sudo_dir= _sudo_mode=run _sudo_shell= _sudo_background= _sudo_forget=

# One option: $1 is its letter, $2 its value.
_sudo_option() {
	case $1 in
	u) _sudo_user=$2 ;;
	g) _sudo_group=$2 ;;
	D) _sudo_dir=$2 ;;
	R | T) _sudo_fail "you are not permitted to use the -$1 option here" ;;
	i | s) _sudo_shell=$1 ;;
	b) _sudo_background=yes ;;
	k) _sudo_forget=yes ;;
	e | h | K | l | V | v) _sudo_mode=$1 ;;
	*) ;; # the rest is about passwords, environments and policies
	esac
}

while [ $# -gt 0 ]; do
	case $1 in
	--) shift; break ;;
	--*)
		_sudo_o=${1#--} _sudo_v=
		shift
		case $_sudo_o in
		*=*) _sudo_v=${_sudo_o#*=} _sudo_o=${_sudo_o%%=*} ;;
		auth-type | chdir | chroot | close-from | command-timeout | group | host | login-class | other-user | prompt | role | type | user)
			[ $# -gt 0 ] || _sudo_fail "option '--$_sudo_o' requires an argument"
			_sudo_v=$1
			shift
			;;
		esac
		case $_sudo_o in
		user) _sudo_o=u ;;
		group) _sudo_o=g ;;
		chdir) _sudo_o=D ;;
		chroot) _sudo_o=R ;;
		command-timeout) _sudo_o=T ;;
		login) _sudo_o=i ;;
		shell) _sudo_o=s ;;
		background) _sudo_o=b ;;
		reset-timestamp) _sudo_o=k ;;
		remove-timestamp) _sudo_o=K ;;
		edit) _sudo_o=e ;;
		help) _sudo_o=h ;;
		list) _sudo_o=l ;;
		version) _sudo_o=V ;;
		validate) _sudo_o=v ;;
		askpass | auth-type | bell | close-from | host | login-class | no-update | non-interactive | other-user | preserve-env | preserve-groups | prompt | role | set-home | stdin | type) continue ;;
		*) _sudo_usage >&2; _sudo_fail "unrecognized option '--$_sudo_o'" ;;
		esac
		_sudo_option "$_sudo_o" "$_sudo_v"
		;;
	-?*)
		_sudo_rest=${1#-}
		shift
		while [ -n "$_sudo_rest" ]; do
			_sudo_o=${_sudo_rest%"${_sudo_rest#?}"} _sudo_v=
			_sudo_rest=${_sudo_rest#?}
			case $_sudo_o in
			[aCcDgpRrTtUu])
				if [ -n "$_sudo_rest" ]; then
					_sudo_v=$_sudo_rest _sudo_rest=
				elif [ $# -gt 0 ]; then
					_sudo_v=$1
					shift
				else
					_sudo_fail "option requires an argument -- '$_sudo_o'"
				fi
				;;
			[ABbEeHhiKklNnPSsVv]) ;;
			*) _sudo_usage >&2; _sudo_fail "invalid option -- '$_sudo_o'" ;;
			esac
			_sudo_option "$_sudo_o" "$_sudo_v"
		done
		;;
	/*) break ;;
	*=*)
		case ${1%%=*} in
		'' | [0-9]* | *[!A-Za-z0-9_]*) _sudo_fail "${1%%=*}: not a name of a variable" ;;
		esac
		export "${1?}"
		shift
		;;
	*) break ;;
	esac
done

# proc(5): real, effective, saved and file system uid. A root file system may lack id(1).
while read -r _sudo_n _sudo_p _sudo_u _sudo_c; do
	[ "$_sudo_n" = Uid: ] && _sudo_me=$_sudo_u
done </proc/self/status

case $_sudo_mode in
h) _sudo_usage; exit 0 ;;
V) echo "Sudo version 1.9 (of zviz-runner: grants nothing, runs the command as it is)"; exit 0 ;;
K | v) exit 0 ;;
l)
	if [ $# -gt 0 ]; then
		_sudo_find "$1" || _sudo_fail "$1: command not found"
		exit 0
	fi
	echo "User $(_sudo_account "$_sudo_me" name || echo "$_sudo_me") may run the following commands, as they are:"
	echo "    (ALL) NOPASSWD: ALL"
	exit 0
	;;
e)
	[ $# -gt 0 ] || { _sudo_usage >&2; exit 1; }
	_sudo_e=${SUDO_EDITOR:-${VISUAL:-${EDITOR:-vi}}}
	_sudo_shell=
	# An editor's name may come with options, as sudo allows.
	# shellcheck disable=SC2086
	set -- $_sudo_e "$@"
	;;
esac

if [ $# -eq 0 ] && [ -z "$_sudo_shell" ]; then
	[ -n "$_sudo_forget" ] && exit 0
	_sudo_usage >&2
	exit 1
fi

# Who the command is to be. Another user than oneself is only for who may become
# it: root of the job.
_sudo_uid= _sudo_gid=
if [ "$_sudo_me" = 0 ]; then
	_sudo_user=${_sudo_user#\#}
	if [ -n "$_sudo_user" ]; then
		_sudo_uid=$(_sudo_account "$_sudo_user" uid) || case $_sudo_user in
		*[!0-9]*) _sudo_fail "unknown user $_sudo_user" ;;
		*) _sudo_uid=$_sudo_user ;;
		esac
	fi
	if [ -n "$_sudo_group" ]; then
		_sudo_group=${_sudo_group#\#}
		_sudo_gid=$(_sudo_gid "$_sudo_group") || case $_sudo_group in
		*[!0-9]*) _sudo_fail "unknown group $_sudo_group" ;;
		*) _sudo_gid=$_sudo_group ;;
		esac
	fi
	[ "$_sudo_uid" = 0 ] && _sudo_uid=
fi
_sudo_who=${_sudo_uid:-$_sudo_me}

if [ -n "$_sudo_dir" ]; then
	cd -- "$_sudo_dir" || _sudo_fail "unable to change directory to $_sudo_dir"
fi

# -s and -i: the words go to the shell as one, all but letters, digits, _, - and $
# quoted, as sudo does.
if [ -n "$_sudo_shell" ]; then
	_sudo_sh=$(_sudo_account "$_sudo_who" shell)
	[ "$_sudo_shell" = s ] && _sudo_sh=${SHELL:-$_sudo_sh}
	case $_sudo_sh in
	*/nologin | */false) _sudo_sh= ;;
	esac
	{ [ -n "$_sudo_sh" ] && _sudo_find "$_sudo_sh" >/dev/null; } || _sudo_sh=/bin/sh
	_sudo_line=
	for _sudo_w in "$@"; do
		case $_sudo_w in
		*[!A-Za-z0-9_$-]*) _sudo_w=$(printf '%s\n' "$_sudo_w" | LC_ALL=C sed 's/[^A-Za-z0-9_$-]/\\&/g; $!s/$/\\/') ;;
		esac
		_sudo_line="$_sudo_line$_sudo_w "
	done
	_sudo_n=$#
	set -- "$_sudo_sh"
	[ "$_sudo_shell" = i ] && set -- "$@" -l
	[ "$_sudo_n" -gt 0 ] && set -- "$@" -c "$_sudo_line"
fi

_sudo_find "$1" >/dev/null || _sudo_fail "$1: command not found"
_sudo_say

if [ -n "$_sudo_uid" ]; then
	_sudo_name=$(_sudo_account "$_sudo_uid" name) && export USER="$_sudo_name" LOGNAME="$_sudo_name"
	_sudo_home=$(_sudo_account "$_sudo_uid" home) && export HOME="$_sudo_home"
fi
if [ "$_sudo_shell" = i ]; then
	cd -- "${HOME:-/}" || _sudo_fail "unable to change directory to $HOME"
fi
if [ -n "$_sudo_uid$_sudo_gid" ]; then
	_sudo_own=$(_sudo_account "$_sudo_who" gid)
	: "${_sudo_gid:=${_sudo_own:-$_sudo_who}}"
	_sudo_groups=--clear-groups
	[ -n "$_sudo_own" ] && _sudo_groups=--init-groups
	case $(setpriv --help 2>&1) in
	*--reuid*) _sudo_o=setpriv ;;
	*) _sudo_o=su ;; # busybox has another setpriv
	esac
	if [ "$_sudo_o" = setpriv ]; then
		set -- setpriv --reuid "$_sudo_who" --regid "$_sudo_gid" "$_sudo_groups" -- "$@"
	elif [ -n "$_sudo_group" ]; then
		_sudo_fail "-g needs setpriv of util-linux, which this root file system does not have"
	elif [ -z "$_sudo_name" ]; then
		_sudo_fail "user $_sudo_who has no name, and setpriv of util-linux is not there"
	else
		# su takes a line for the shell; the words are its arguments.
		# shellcheck disable=SC2016
		set -- su -s /bin/sh -c 'exec "$0" "$@"' -- "$_sudo_name" "$@"
	fi
fi
if [ -n "$_sudo_background" ]; then
	"$@" &
	exit 0
fi
exec "$@"
