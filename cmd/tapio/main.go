// Command tapio tells the story of a Kubernetes incident in Slack.
//
// This package joins the parts: it reads flags and config, starts the
// collector, the engine, the store and the bot in that order, and stops them in
// reverse. It decides nothing about incidents and words nothing about them.
//
// main is flags and signals. Each command has a file with its name. Exit codes:
// 0 done, 1 an error, and for tell 2 where there are stories.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	_ "golang.org/x/crypto/x509roots/fallback" // certificate authorities, in an image that has none
	"golang.org/x/term"
)

func main() { os.Exit(execute()) }

// execute runs the command line of the process and returns its exit code.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal kills: the first one gave the parts their time to stop.
	context.AfterFunc(ctx, stop)

	root := newRoot(terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	root.SetArgs(os.Args[1:])
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(os.Stderr, "tapio: %v\n", err)
	return 1
}

// exitCode ends the process with a code and without a message.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// toldStories is the exit code of tell where there is something to tell.
const toldStories exitCode = 2

// terminal is where commands read and write. Results go to out, all else to
// err, so that results can be piped.
type terminal struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// warnTo returns what prints warnings that end nothing.
func warnTo(w io.Writer) func(error) {
	return func(err error) { fmt.Fprintf(w, "warning: %v\n", err) }
}

// width returns the columns of the terminal that w is, or 0 where it is none.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
