package dump

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// maxYAML bounds one file of YAML, which is read as a whole: its parser needs
// some twenty times that in memory.
const maxYAML = 64 << 20 // bytes

// yaml reads the rest of a stream as YAML documents, and returns the byte
// offset where it fails.
func (r *reader) yaml(name string, s *source) (int64, error) {
	at := s.offset
	all, err := io.ReadAll(io.LimitReader(s, maxYAML+1))
	if err != nil {
		return s.offset, err
	}
	if len(all) > maxYAML {
		return at, errors.New("it is YAML of more than 64 MiB; write it with -o json, which is read piece by piece")
	}
	if bytes.IndexByte(all, 0) >= 0 {
		return at + int64(bytes.IndexByte(all, 0)), errors.New("it is neither JSON nor YAML")
	}
	for len(all) > 0 {
		if err := r.ctx.Err(); err != nil {
			return at, err
		}
		doc := all
		if i := bytes.Index(all, []byte("\n---")); i >= 0 {
			doc = all[:i+1]
		}
		all = all[len(doc):]
		if err := r.yamlDocument(name, doc, at); err != nil {
			return at, err
		}
		at += int64(len(doc))
	}
	return at, nil
}

func (r *reader) yamlDocument(name string, doc []byte, at int64) error {
	data, err := yaml.YAMLToJSON(doc)
	if err != nil {
		return fmt.Errorf("in the document that begins here: %w", err)
	}
	if len(data) == 0 || data[0] != '{' && data[0] != '[' {
		if bytes.Equal(bytes.TrimSpace(data), []byte("null")) { // only comments or a separator
			return nil
		}
		return errors.New("it is neither JSON nor a YAML object")
	}
	return r.document(name, json.NewDecoder(bytes.NewReader(data)), at, 0)
}
