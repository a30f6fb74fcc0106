package cases

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/yairfalse/tapio/cmd/tapio/recording"
)

// Write makes a case: a new folder with the recording of the steps and the
// expectation. The steps are written as they are given; an error that comes
// with one ends the writing. It refuses a folder that exists, and leaves none
// behind where it fails.
func Write(folder string, h recording.Header, steps iter.Seq2[recording.Step, error], x Expectation) (err error) {
	if err := x.Validate(); err != nil {
		return fmt.Errorf("write case: %w", err)
	}
	text, err := yaml.Marshal(x)
	if err != nil {
		return fmt.Errorf("write case: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return fmt.Errorf("write case: %w", err)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		return fmt.Errorf("write case: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	w, err := recording.Create(filepath.Join(folder, RecordingFile), h)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for step, err := range steps {
		if err != nil {
			return fmt.Errorf("write case: %w", err)
		}
		if step.Observation != nil {
			_, err = w.Observe(step.Observation)
		} else {
			_, err = w.Tick(step.Time)
		}
		if err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(folder, ExpectFile), text, 0o644); err != nil {
		return fmt.Errorf("write case: %w", err)
	}
	return nil
}
