package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/yairfalse/tapio"
)

// looked counts what was looked at.
type looked struct {
	mu    sync.Mutex
	kinds map[tapio.Kind]int
	all   int
	read  int    // objects of dumps, before they are counted
	from  string // the file they come from

	damaged bool // part of it could not be read
}

// reading is told how far the reading of dumps is.
func (l *looked) reading(n int, from string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read, l.from = n, from
}

// progress says how far the reading is.
func (l *looked) progress() string {
	l.mu.Lock()
	n, from := l.read, l.from
	l.mu.Unlock()
	if from == "" {
		return l.String()
	}
	return fmt.Sprintf("%s, now %s", plural(n, "object"), from)
}

func (l *looked) count(o *tapio.Observation) {
	if o.State == nil || o.State.Deleted {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kinds[o.State.Entity.Kind]++
	l.all++
}

// String says it in one clause: "41 pods on 3 nodes, 212 objects in all".
func (l *looked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%s on %s, %s in all",
		plural(l.kinds[tapio.KindPod], "pod"), plural(l.kinds[tapio.KindNode], "node"), plural(l.all, "object"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// progress says on a terminal what is being read, once that takes long, and
// every few seconds elsewhere.
type progress struct {
	done chan struct{}
	over sync.WaitGroup
}

func startProgress(w io.Writer, saw *looked) *progress {
	p := &progress{done: make(chan struct{})}
	every, begin, end := 10*time.Second, "", "\n"
	if width(w) > 0 {
		every, begin, end = time.Second, "\r\033[K", ""
	}
	p.over.Go(func() {
		wait := time.NewTimer(patience)
		defer wait.Stop()
		shown := false
		for {
			select {
			case <-wait.C:
				fmt.Fprintf(w, "%sreading: %s so far%s", begin, saw.progress(), end)
				shown = true
				wait.Reset(every)
			case <-p.done:
				if shown {
					fmt.Fprint(w, begin)
				}
				return
			}
		}
	})
	return p
}

func (p *progress) stop() {
	close(p.done)
	p.over.Wait()
}

// statusLine shows where something is: in place on a terminal, else a line
// every few seconds.
type statusLine struct {
	w        io.Writer
	terminal bool
	last     time.Time
}

func newStatusLine(w io.Writer) *statusLine { return &statusLine{w: w, terminal: width(w) > 0} }

func (s *statusLine) show(text string) {
	if s.terminal {
		fmt.Fprintf(s.w, "\r\033[K%s", text)
		return
	}
	if now := time.Now(); now.Sub(s.last) >= 5*time.Second {
		s.last = now
		fmt.Fprintln(s.w, text)
	}
}

func (s *statusLine) end(text string) {
	if s.terminal {
		fmt.Fprint(s.w, "\r\033[K")
	}
	fmt.Fprintln(s.w, text)
}
