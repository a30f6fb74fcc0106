package recording

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/yairfalse/tapio"
)

// Writer writes a recording. It is not safe for concurrent use: the goroutine
// that owns the engine owns it too.
type Writer struct {
	buf    *bufio.Writer
	gz     *gzip.Writer // nil where the file is not compressed
	file   io.Closer
	closed bool
}

// Create makes the file and writes the header. It refuses to overwrite.
func Create(name string, h Header) (*Writer, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("create recording: %s exists already; name another file, or remove it", name)
	}
	if err != nil {
		return nil, fmt.Errorf("create recording: %w", err)
	}
	w, err := NewWriter(f, h, strings.HasSuffix(name, ".gz"))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w.file = f
	return w, nil
}

// NewWriter writes the header and returns a writer of the rest. Close does not
// close out.
func NewWriter(out io.Writer, h Header, compress bool) (*Writer, error) {
	w := &Writer{}
	if compress {
		w.gz = gzip.NewWriter(out)
		out = w.gz
	}
	w.buf = bufio.NewWriterSize(out, 64<<10)
	h.Version = Version
	if err := w.write(h); err != nil {
		return nil, err
	}
	return w, w.Flush()
}

// Observe writes the observation and returns it as a reader will see it. The
// engine must be given that one: what JSON can't carry, such as broken UTF-8 or
// a monotonic clock, would make a replay differ from the live run.
func (w *Writer) Observe(o *tapio.Observation) (*tapio.Observation, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("write recording: %w", err)
	}
	if err := w.writeLine(data); err != nil {
		return nil, err
	}
	_, step, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("write recording: %w", err)
	}
	return step.Observation, nil
}

// Tick writes a tick, flushes, and returns the time as a reader will see it.
func (w *Writer) Tick(now time.Time) (time.Time, error) {
	now = now.UTC().Round(0)
	if err := w.write(struct {
		Time time.Time `json:"time"`
	}{now}); err != nil {
		return now, err
	}
	return now, w.Flush()
}

// Close ends the recording. A second call does nothing.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	err := w.Flush()
	if w.gz != nil {
		err = errors.Join(err, w.gz.Close())
	}
	if w.file != nil {
		err = errors.Join(err, w.file.Close())
	}
	return err
}

func (w *Writer) write(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	return w.writeLine(data)
}

func (w *Writer) writeLine(data []byte) error {
	_, err := w.buf.Write(data)
	if err == nil {
		err = w.buf.WriteByte('\n')
	}
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	return nil
}

// Flush hands all that was written so far to the file, so that a kill of the
// process loses none of it.
func (w *Writer) Flush() error {
	err := w.buf.Flush()
	if err == nil && w.gz != nil {
		err = w.gz.Flush()
	}
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	return nil
}
