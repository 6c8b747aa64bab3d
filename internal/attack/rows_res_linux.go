// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// resources holds attempts to take more than a job's share. Every one has a
// bound of its own, since each is made without a limit first.
func resources() []Attempt {
	memory := []string{"--no-network", "--memory", "256m", "--pids", "64", "--timeout", "1m"}
	return []Attempt{
		{
			ID: "res-01", Name: "fork_bomb", What: "fork 50 children and reap each", Allowed: true, Control: InUserNamespace,
			run: func([]string) (string, error) {
				for range 50 {
					if err := inChild(call{unix.SYS_GETPID}); err != nil {
						return "", err
					}
				}
				return "50 children", nil
			},
		},
		{
			ID: "res-03", What: "take twice the memory limit", Want: []string{"oom"}, Control: InUserNamespace, Runner: memory,
			run: func([]string) (string, error) { return takeMemory(512 << 20) },
		},
		{
			ID: "res-04", What: "fill /dev/shm: more than half of the memory limit", Want: []string{"ENOSPC"}, Control: InUserNamespace, Runner: memory,
			run: func(args []string) (string, error) { return fillFolder(args, 160<<20) },
		},
		{
			ID: "res-04-run", What: "fill /run", Want: []string{"EROFS"}, Control: InUserNamespace, Runner: memory,
			run: func([]string) (string, error) { return fillFolder([]string{"/run"}, 1<<20) },
		},
		{
			ID: "res-05", What: "more empty files in /dev/shm than it may hold", Want: []string{"ENOSPC"}, Control: InUserNamespace, Runner: memory,
			run: func(args []string) (string, error) { return manyFiles(args, 70_000) },
		},
		{
			ID: "res-07-raise", What: "raise the limit of open files", Want: []string{"EPERM"}, Runner: memory,
			Control: Nowhere, NoControl: "takes CAP_SYS_RESOURCE of the initial namespace, which root of a container lacks",
			run: func([]string) (string, error) {
				var old unix.Rlimit
				if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
					return "", broken("getrlimit", err)
				}
				old.Max++
				old.Cur = old.Max
				return "more", inChild(call{unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, pointer(&old), 0})
			},
		},
		{
			// The control opens fewer: fs.nr_open bounds every process of the machine.
			ID: "res-07", What: "open files until the limit", Want: []string{"EMFILE"}, Control: InUserNamespace, Runner: memory,
			run: openMany,
		},
		{
			ID: "res-09", What: "inotify instances, which the user that made the namespace pays for", Want: []string{"EMFILE"}, Control: InUserNamespace, Runner: memory,
			run: func([]string) (string, error) { return manyInotify(100) },
		},
		{
			ID: "res-12", What: "make the kernel write a core", Want: []string{"EPERM"}, Control: AsRoot, Runner: memory,
			run: func([]string) (string, error) {
				most := unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}
				return "a core may be written", inChild(call{unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, pointer(&most), 0})
			},
		},
		{
			ID: "res-14", What: "pseudo-terminals until there are no more", Want: []string{"ENOSPC"}, Control: AsRoot, Runner: memory,
			run: func([]string) (string, error) { return manyTerminals(300) },
		},
		{
			ID: "res-15", What: "SCHED_FIFO", Want: []string{"ENOSYS"}, Control: AsRoot, Runner: memory,
			run: func([]string) (string, error) {
				priority := int32(1)
				return "real time", inChild(call{unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, pointer(&priority)})
			},
		},
		{
			ID: "res-16", What: "1000 pipes of 1 MiB", Want: []string{"EPERM"}, Control: AsRoot, Runner: memory,
			run: func([]string) (string, error) { return bigPipes(1000) },
		},
	}
}

func takeMemory(n int) (string, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return "", err
	}
	for i := 0; i < n; i += os.Getpagesize() {
		b[i] = 1
	}
	return fmt.Sprintf("%d bytes", n), unix.Munmap(b)
}

// fillFolder writes one file of n bytes, at most.
func fillFolder(args []string, n int) (string, error) {
	if len(args) != 1 {
		return "", errors.New("needs a folder")
	}
	f, err := os.CreateTemp(args[0], "attack-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is in a mount of the attempt's own
	defer f.Close()           //nolint:errcheck // the process ends
	chunk := make([]byte, 1<<20)
	for done := 0; done < n; done += len(chunk) {
		if _, err := f.Write(chunk); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d bytes", n), nil
}

func manyFiles(args []string, n int) (string, error) {
	if len(args) != 1 {
		return "", errors.New("needs a folder")
	}
	for i := range n {
		fd, err := unix.Open(filepath.Join(args[0], "attack-"+strconv.Itoa(i)), unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return "", err
		}
		if err := unix.Close(fd); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d files", n), nil
}

func openMany(args []string) (string, error) {
	if len(args) != 1 {
		return "", errors.New("needs a number")
	}
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return "", broken("number", err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "", broken("getrlimit", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "", broken("setrlimit", err)
	}
	for range number {
		if _, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return "", err
		}
	}
	return args[0] + " descriptors", nil
}

func manyInotify(n int) (string, error) {
	for range n {
		if _, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d instances", n), nil
}

func manyTerminals(n int) (string, error) {
	for range n {
		if _, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d terminals", n), nil
}

func bigPipes(n int) (string, error) {
	for range n {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return "", err
		}
		if _, err := unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, 1<<20); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d pipes", n), nil
}

// protocol holds what a job may try with what the runner reads of it. What needs
// steps, a forge or a cache comes with those.
func protocol() []Attempt {
	secret := func(id, what, path string) Attempt {
		return Attempt{
			ID: id, What: what, Want: []string{"ENOENT", "EACCES"}, Control: InUserNamespace, Runner: []string{"--no-network"},
			run: func([]string) (string, error) { return findsSecret(path) },
		}
	}
	return []Attempt{
		secret("pr-12", "the runner's secrets in its own environment", "/proc/self/environ"),
		secret("pr-12-first", "the runner's secrets in the environment of process 1, the parent", "/proc/1/environ"),
	}
}

// findsSecret looks for the variable that the tests plant in the runner.
func findsSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if slices.Contains(splitZero(b), "ATTACK_SECRET=planted") {
		return "read it in " + path, nil
	}
	return "", syscall.ENOENT
}

func splitZero(b []byte) []string {
	var out []string
	start := 0
	for i, c := range b {
		if c == 0 {
			out = append(out, string(b[start:i]))
			start = i + 1
		}
	}
	return out
}
