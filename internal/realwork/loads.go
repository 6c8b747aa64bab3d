// SPDX-License-Identifier: Apache-2.0

package realwork

import "strings"

// Load is one project and what is done with it, in order, in one folder.
type Load struct {
	Name  string
	Files string   // a folder below testdata that it starts with; empty for none
	Tools []string // without which it is not tried
	Steps []Step
}

// Step is one command.
type Step struct {
	Command []string
	Network bool     // it gets what its command needs of a registry; else nothing
	Env     []string // KEY=VALUE; $WORK is the folder, $CACHE a build cache: the host's own natively, an empty one inside
	Code    int      // expected exit code; 128+n for signal n
	Want    string   // a part of what it prints
}

// Shell returns the command as a person would type it.
func (s Step) Shell() string {
	words := make([]string, len(s.Command))
	for i, w := range s.Command {
		if strings.ContainsAny(w, " $;&|>*'\"") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}

func sh(script, want string) Step { return Step{Command: []string{"sh", "-ec", script}, Want: want} }

func (s Step) with(env ...string) Step {
	s.Env = append(s.Env, env...)
	return s
}

// Loads returns every load. nodeHeaders is the folder whose include/node belongs
// to the installed Node: node-gyp would otherwise fetch headers from a host that
// is no registry.
func Loads(nodeHeaders string) []Load {
	// Compiled, not fetched as a binary from a host that is no registry either.
	gyp := []string{"npm_config_nodedir=" + nodeHeaders, "npm_config_build_from_source=true"}
	goEnv := []string{"GOCACHE=$CACHE", "GOMODCACHE=$WORK/.gomod", "GOTOOLCHAIN=local", "GOFLAGS=-modcacherw"}
	npm := func(want string, args ...string) Step {
		return Step{Command: append([]string{"npm"}, args...), Want: want}
	}
	gotool := func(want string, args ...string) Step {
		return Step{Command: append([]string{"go"}, args...), Want: want}.with(goEnv...)
	}
	online := func(s Step) Step {
		s.Network = true
		return s
	}

	return []Load{
		{
			Name: "npm", Files: "node", Tools: []string{"node", "npm", "g++", "make", "python3"},
			Steps: []Step{
				online(npm("added 417 packages", "ci")).with(gyp...), // better-sqlite3 is compiled by node-gyp
				npm("", "run", "types"),
				npm("hello server true", "exec", "--", "sh", "-ec", "npm run bundle && node dist/server.js"),
				{Command: []string{"npx", "jest"}, Want: "4 passed"},
				{Command: []string{"npx", "vite", "build"}, Want: "built in"},
			},
		},
		{
			Name: "go", Files: "golang", Tools: []string{"go", "gcc"},
			Steps: []Step{
				online(gotool("", "mod", "download")),
				gotool("", "build", "./..."), // with cgo
				gotool("ok", "test", "-race", "./...", "github.com/google/go-cmp/cmp"),
			},
		},
		{
			Name: "C", Files: "c", Tools: []string{"gcc", "make"},
			Steps: []Step{
				sh("make -j2 prog && ./prog", "sum 14"),
				// LeakSanitizer traces the program; the environment turns it off.
				sh("make asan && ./asan", "sum 14"),
				sh("make tsan && ./tsan", "sum 14"),
			},
		},
		{
			Name: "git", Tools: []string{"git"},
			Steps: []Step{
				sh(`git init -q origin && cd origin && echo one >file && git add . && git -c user.name=a -c user.email=a@example.com commit -qm one && git log --oneline`, "one"),
				sh(`git clone -q "file://$PWD/origin" clone && cat clone/file`, "one"),
				sh(`cd clone && git gc -q && git worktree add -q ../tree && git -C ../tree status --short --branch`, "## tree"),
			},
		},
		{
			Name: "Python", Tools: []string{"python3"},
			Steps: []Step{
				{Command: []string{"python3", "-m", "venv", "venv"}},
				{Command: []string{"venv/bin/python", "-c", "import ssl, sqlite3, subprocess; print(subprocess.check_output(['echo', 'child']), sqlite3.sqlite_version)"}, Want: "child"},
				{Command: []string{"venv/bin/python", "-c", "import multiprocessing as m; print(sum(m.Pool(4).map(abs, range(-9, 1))))"}, Want: "45"},
				{Command: []string{"venv/bin/pip", "list"}, Want: "pip"},
			},
		},
		{
			Name: "archives", Tools: []string{"tar", "xz", "dpkg-deb"}, Files: "deb",
			Steps: []Step{
				sh("tar czf a.tgz DEBIAN usr && mkdir x && tar xzf a.tgz -C x && ls x", "DEBIAN"),
				sh("tar cJf a.txz DEBIAN usr && mkdir y && tar xJf a.txz -C y && diff -r usr y/usr && echo same", "same"),
				sh("mkdir p && cp -a DEBIAN usr p && dpkg-deb --root-owner-group -b p a.deb && dpkg-deb -x a.deb out && cat out/usr/share/doc/realwork/README", "Nothing."),
			},
		},
		{
			Name: "shell",
			Steps: []Step{
				sh("ln -s /etc/passwd link && ln link hard && mkdir a b && touch a/x && mv a/x b/y && cp -a b c && install -D -m 755 b/y d/e/f && rm -r b && ls d/e", "f"),
				sh("mkfifo pipe && (echo through >pipe &) && cat pipe", "through"),
				sh("flock lock nice -n 5 setsid -w echo locked", "locked"),
				sh("(sleep 0.1; echo late) & wait; trap 'echo trapped' USR1; kill -USR1 $$", "trapped"),
				sh("head -c 100000000 /dev/zero | sha256sum", "a993f8c5"),
				{Command: []string{"sh", "-c", "kill -ABRT $$"}, Code: 134},
				{Command: []string{"sh", "-c", "echo out; exit 7"}, Code: 7, Want: "out"},
			},
		},
		{
			Name: "terminal", Tools: []string{"script"},
			Steps: []Step{
				sh("script -qec 'test -t 0 && stty size && echo terminal' /dev/null", "terminal"),
			},
		},
		{
			Name: "Java", Files: "java", Tools: []string{"java", "javac"},
			Steps: []Step{
				{Command: []string{"java", "Hello.java"}, Want: "sum 499500"},
			},
		},
	}
}
