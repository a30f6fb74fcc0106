package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/config"
)

// TestReference parses the shipped file as a user's and finds the defaults.
func TestReference(t *testing.T) {
	c, err := config.Parse("default.yaml", config.Reference)
	if err != nil {
		t.Fatal(err)
	}
	if time.Duration(c.Engine.Reopen) != 30*time.Minute || !c.Slack.SocketMode || c.Slack.DefaultChannel != "#incidents" {
		t.Errorf("the defaults are not those that the design names: %+v", c)
	}
}

func TestParseKeepsDefaults(t *testing.T) {
	c, err := config.Parse("mine.yaml", []byte(`
cluster: prod-eu
engine: {quiet: 3m}
slack:
  routes:
    - {namespace: "shop-*", channel: "#shop"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Cluster != "prod-eu" || c.Engine.Quiet != tapio.Duration(3*time.Minute) || len(c.Slack.Routes) != 1 {
		t.Errorf("what the file says was not read: %+v", c)
	}
	if c.Engine.Reopen != tapio.Duration(30*time.Minute) || c.Listen != "127.0.0.1:8080" {
		t.Errorf("what the file leaves out lost its default: %+v", c)
	}
	if _, err := config.Parse("empty.yaml", []byte("# nothing\n")); err != nil {
		t.Errorf("a file with only comments: %v", err)
	}
}

// TestMistakes reads every file in testdata; its first line says the error.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(data), "\n")
			want := strings.TrimPrefix(first, "# want: ")
			_, err = config.Parse(filepath.Base(name), data)
			if err == nil {
				t.Fatalf("no error, want %s", want)
			}
			if !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got  %s\nwant %s", err, want)
			}
			if strings.Contains(err.Error(), "xoxb-1") {
				t.Errorf("the error repeats a token: %s", err)
			}
		})
	}
}

func TestSecret(t *testing.T) {
	t.Setenv("TAPIO_TEST_TOKEN", " from-env \n")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, env, file, want string
		missing               bool
	}{
		{name: "environment", env: "TAPIO_TEST_TOKEN", want: "from-env"},
		{name: "file wins", env: "TAPIO_TEST_TOKEN", file: file, want: "from-file"},
		{name: "neither", missing: true},
		{name: "unset variable", env: "TAPIO_TEST_NONE", missing: true},
		{name: "empty file", file: empty, missing: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := config.Secret("the token", tt.env, tt.file)
			if got != tt.want || errors.Is(err, config.ErrNoSecret) != tt.missing {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if _, err := config.Secret("the token", "", "/nowhere/token"); err == nil || errors.Is(err, config.ErrNoSecret) {
		t.Errorf("an unreadable file is not the same as no secret: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(config.Reference)
	f.Add([]byte("slack: {routes: [{namespace: a}]}"))
	f.Add([]byte("a: &a [*a]\nslack: *a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f.yaml", data)
		if err != nil {
			return
		}
		if c.Store.Dir == "" || c.Engine.Quiet <= 0 {
			t.Errorf("accepted %+v", c)
		}
	})
}
