package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine bounds a line in bytes: an observation is a few kilobytes, and the
// longest log message that a collector passes on is far below.
const maxLine = 16 << 20

// Reader reads a recording step by step.
type Reader struct {
	in     *bufio.Reader
	file   io.Closer
	line   int
	header *Header
	first  *Step // the first line, where it is no header
	err    error // what ended the recording
}

// Open opens the file, or standard input where the name is "-".
func Open(name string) (*Reader, error) {
	if name == "-" {
		return NewReader(os.Stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	r, err := NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	r.file = f
	return r, nil
}

// NewReader reads the header. It recognises gzip by its first bytes. It
// returns [ErrEmpty] where there is nothing to read.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10)}
	if magic, _ := r.in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		gz, err := gzip.NewReader(r.in)
		if err != nil {
			return nil, fmt.Errorf("read recording: %w", err)
		}
		r.in = bufio.NewReaderSize(gz, 64<<10)
	}
	h, step, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, ErrEmpty
	case err != nil:
		var half *Truncated
		if errors.As(err, &half) {
			return nil, ErrEmpty
		}
		return nil, err
	case h != nil:
		r.header = h
	default:
		r.first = &step
	}
	return r, nil
}

// Header returns the settings of the engine that was recorded; ok is false
// where the recording has none.
func (r *Reader) Header() (h Header, ok bool) {
	if r.header == nil {
		return Header{}, false
	}
	return *r.header, true
}

// Next returns the next step. At the end it returns [io.EOF], or [*Truncated]
// where the last line is half-written. A line that can't be read is a
// [*Malformed]; nothing is read after it.
func (r *Reader) Next() (Step, error) {
	if r.err != nil {
		return Step{}, r.err
	}
	if r.first != nil {
		step := *r.first
		r.first = nil
		return step, nil
	}
	h, step, err := r.next()
	if err == nil && h != nil {
		err = &Malformed{Line: r.line, Err: errors.New("a second header; two recordings can't be joined into one file")}
	}
	r.err = err
	return step, err
}

// Close closes the file that [Open] opened.
func (r *Reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// next reads the next line that is not blank.
func (r *Reader) next() (*Header, Step, error) {
	for {
		data, readErr := r.readLine()
		if readErr != nil && !ends(readErr) {
			return nil, Step{}, &Malformed{Line: r.line, Err: readErr}
		}
		if len(bytes.TrimSpace(data)) == 0 {
			if readErr == nil {
				continue
			}
			if errors.Is(readErr, io.ErrUnexpectedEOF) {
				return nil, Step{}, &Truncated{Line: r.line}
			}
			return nil, Step{}, io.EOF
		}
		h, step, err := decode(data)
		if err != nil && readErr != nil {
			return nil, Step{}, &Truncated{Line: r.line}
		}
		if err != nil {
			return nil, Step{}, &Malformed{Line: r.line, Err: err}
		}
		return h, step, nil
	}
}

// ends reports whether the error is only that there is no more to read: the
// plain end, or the cut end of a compressed file.
func ends(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (r *Reader) readLine() ([]byte, error) {
	r.line++
	var data []byte
	for {
		part, err := r.in.ReadSlice('\n')
		data = append(data, part...)
		if len(data) > maxLine {
			return nil, fmt.Errorf("longer than %d MiB", maxLine>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return data, err
		}
	}
}
