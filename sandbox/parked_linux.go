// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/zviz/run/internal/linux"
	"github.com/zviz/run/internal/tiny"
	"github.com/zviz/run/sandbox/pid1"
)

// parked is a process 1 that waits for its command. It shares nothing with the
// runner any more, and has every layer on: what comes from the runner later is a
// file with the command, which it maps, and the length of it.
type parked struct {
	process *Process
	command int // the file
}

// Park makes the sandbox ready for a command: its first process runs, with every
// layer on, and waits. Start then does little more than a fork and an execve. A
// command with a terminal is started anew all the same.
//
// The context bounds the parking. What is parked ends with Close, and with the
// runner.
func (s *Sandbox) Park(ctx context.Context) (err error) {
	prog, err := compileWaiting(s.spec, s.probe)
	if err != nil {
		return err
	}
	prep, err := prepare(prog, s.users)
	if err != nil {
		return err
	}
	defer prep.close()
	// A pipe on every stream: whether the command has an input is not known.
	st, err := openStreams(Cmd{Stdin: strings.NewReader("")}, -1, s.spec.IDs.Owner())
	if err != nil {
		return err
	}
	p, err := s.spawn(ctx, prog, prep, st)
	st.closeChild()
	if err != nil {
		st.close()
		return err
	}
	s.parked = &parked{process: p, command: -1}
	for i, h := range prog.Handles {
		if h.Kind == HandleCommand {
			s.parked.command, prep.fds[i] = prep.fds[i], -1
		}
	}
	return nil
}

func (s *Sandbox) startParked(ctx context.Context, k *parked, cmd *Cmd) (*Process, error) {
	p := k.process
	err := cmd.validate()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		p.dir, p.started = cmd.Dir, time.Now()
		err = k.tell(pid1.Command{Args: cmd.Args, Env: cmd.Env, Tty: -1, Stay: cmd.Stay, Dir: cmd.Dir})
	}
	if err != nil {
		return nil, errors.Join(err, k.end())
	}
	if cmd.Stdin == nil {
		_ = p.streams.in.Close()
		p.streams.in = nil
	}
	s.run(ctx, p, cmd)
	return p, nil
}

// tell gives the command to process 1.
func (k *parked) tell(c pid1.Command) error {
	data, err := pid1.Late(c)
	if err != nil {
		return err
	}
	defer k.closeCommand()
	if err := tiny.Fill(k.command, data); err != nil {
		return err
	}
	if _, err := k.process.control.Write(binary.NativeEndian.AppendUint64(nil, uint64(len(data)))); err != nil {
		if errors.Is(err, syscall.EPIPE) {
			err = errors.New("the process that waited for a command has died")
		}
		return &LayerError{Layer: LayerPID, Stage: "start", Err: err}
	}
	return nil
}

func (k *parked) closeCommand() {
	if k.command >= 0 {
		_ = unix.Close(k.command)
		k.command = -1
	}
}

// end ends what waits; nil has nothing to end.
func (k *parked) end() error {
	if k == nil {
		return nil
	}
	p := k.process
	k.closeCommand()
	p.kill()
	_, _, err := linux.Wait(p.pid)
	p.dropMounts()
	for _, f := range []*os.File{p.control, p.status} {
		err = errors.Join(err, f.Close())
	}
	p.streams.close()
	if p.super != nil {
		_, e := p.super.result()
		err = errors.Join(err, e)
	}
	return errors.Join(err, p.handle.Close())
}
