package dump

import (
	"bufio"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/collectors/kubernetes/facts"
)

// marker is the line with which kubectl begins and ends the log of a container.
var marker = regexp.MustCompile(`^==== (START|END) logs for container (\S+) of pod ([^\s/]+)/(\S+) ====$`)

// maxMarker is more than the longest line of a marker, in bytes: namespace,
// pod and container have at most 63, 253 and 63.
const maxMarker = 512

// isLog reports whether a file of a dump's folder holds logs.
func isLog(path string) bool {
	switch filepath.Base(path) {
	case "logs.txt", "logs-previous.txt":
		return true
	}
	return false
}

// logTail is the end of one container's log.
type logTail struct {
	pod       types.NamespacedName
	container string
	previous  bool
	lines     []string
}

// readLog reads a file of logs.
func (r *reader) readLog(name string, in io.Reader, previous bool) {
	sections := len(r.logs)
	lines := newLines(in)
	for {
		done, err := r.logSection(name, lines, previous, false)
		if err != nil {
			r.warn("%s could not be read to its end: %v", name, err)
		}
		if done || err != nil || r.ctx.Err() != nil {
			break
		}
	}
	if sections == len(r.logs) {
		r.options.Log.Debug("no log in file", "file", name)
	}
}

// logSections reads the log sections that kubectl prints between its JSON when
// it writes to standard output, up to what is none.
func (r *reader) logSections(name string, s *source) error {
	for {
		c, err := s.next()
		if errors.Is(err, io.EOF) || err == nil && c != '=' {
			return nil
		}
		if err != nil {
			return err
		}
		lines := newLines(s)
		_, err = r.logSection(name, lines, false, true)
		unread, _ := lines.in.Peek(lines.in.Buffered())
		s.push(unread)
		if err != nil {
			return err
		}
	}
}

// logSection reads up to the end of the next section. It reports done at the
// end of the input. Where the section must begin at once, other lines fail it.
func (r *reader) logSection(name string, lines *lines, previous, atOnce bool) (done bool, err error) {
	var tail *logTail
	var end string
	failed := false
	for n := 0; ; n++ {
		line, err := lines.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return true, err
			}
			if tail != nil {
				r.warn("%s: the log of container %s of pod %s ends too soon", name, tail.container, tail.pod)
				r.logs = append(r.logs, *tail)
			}
			return true, nil
		}
		if tail == nil {
			if m := marker.FindStringSubmatch(line); m != nil && m[1] == "START" {
				tail = &logTail{pod: types.NamespacedName{Namespace: m[3], Name: m[4]}, container: m[2], previous: previous}
				end = strings.Replace(line, "START", "END", 1)
				n = 0
			} else if atOnce {
				return false, errors.New("it is neither JSON nor a log")
			}
			continue
		}
		line, ends := strings.CutSuffix(line, end) // what a log says last may have no line end
		if n == 1 {
			failed = notTheLog(line)
		}
		if ends && line == "" {
			r.keepLog(tail, failed)
			return false, nil
		}
		if len(tail.lines) == facts.MaxLogLines {
			copy(tail.lines, tail.lines[1:])
			tail.lines = tail.lines[:facts.MaxLogLines-1]
		}
		tail.lines = append(tail.lines, line)
		if ends {
			r.keepLog(tail, failed)
			return false, nil
		}
	}
}

// notTheLog reports whether the first line of a log is kubectl's or the
// kubelet's instead: there was none.
func notTheLog(line string) bool {
	for _, words := range []string{"Request log error: ", "Create log error: ", "unable to retrieve container logs for "} {
		if strings.HasPrefix(line, words) {
			return true
		}
	}
	return false
}

func (r *reader) keepLog(tail *logTail, failed bool) {
	if !failed && len(tail.lines) > 0 {
		r.logs = append(r.logs, *tail)
	}
}

// event returns the log as an event. Pod may be nil. A log is as old as the
// end of its run, and of a container that runs it is of now.
func (l *logTail) event(p *corev1.Pod, now time.Time) (*tapio.Event, bool) {
	tail := facts.LogTail{
		Container: tapio.Entity{Kind: tapio.KindPod, Namespace: l.pod.Namespace, Name: l.pod.Name, Container: l.container},
		Text:      strings.Join(l.lines, "\n"),
		Previous:  l.previous,
		Time:      now,
		Seen:      now,
		Listed:    true,
	}
	if p != nil {
		tail.UID = string(p.UID)
		for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
			for i := range list {
				if s := &list[i]; s.Name == l.container {
					last := s.LastTerminationState.Terminated
					if s.State.Terminated != nil && !l.previous {
						last = s.State.Terminated
					}
					if last != nil && (l.previous || s.State.Running == nil) {
						tail.Time = last.FinishedAt.Time
					}
				}
			}
		}
	}
	return tail.Event()
}

// lines reads lines of any length, of which only the beginning is kept.
type lines struct{ in *bufio.Reader }

func newLines(in io.Reader) *lines { return &lines{bufio.NewReaderSize(in, facts.MaxLogBytes)} }

func (l *lines) next() (string, error) {
	line, err := l.in.ReadSlice('\n')
	kept, last := string(line), ""
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.in.ReadSlice('\n')
		last = last[max(0, len(last)-maxMarker):] + string(line)
	}
	if i := strings.LastIndex(last, "==== END logs "); i >= 0 {
		kept += last[i:]
	}
	if err != nil && kept == "" {
		return "", err
	}
	return strings.TrimRight(kept, "\r\n"), nil
}
