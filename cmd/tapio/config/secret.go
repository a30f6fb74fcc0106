package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrNoSecret says that neither the file nor the environment variable of a
// secret is there.
var ErrNoSecret = errors.New("not set")

// Secret reads a secret from the file if one is named, else from the
// environment variable. Errors and logs may name both, never the value. It
// returns [ErrNoSecret], wrapped with what to set, where there is none.
func Secret(what, env, file string) (string, error) {
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", what, err)
		}
		if v := strings.TrimSpace(string(data)); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("%s: the file %s is empty: %w", what, file, ErrNoSecret)
	}
	if env != "" {
		if v := strings.TrimSpace(os.Getenv(env)); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("%s: %w; set the environment variable %s", what, ErrNoSecret, env)
	}
	return "", fmt.Errorf("%s: %w; name a file or an environment variable in the config", what, ErrNoSecret)
}
