// Package config reads the YAML file of `tapio run`.
//
// The file default.yaml in this folder is the reference: it holds every field
// with its default and a sentence on what it does. A user's file holds only
// what differs. Decoding is strict, and an error names file, line and field.
//
// Secrets never stand in the file: it names the environment variable or the
// file that holds each one (see [Secret]). The package reads no flags and
// starts nothing.
package config

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/strict"
	"github.com/yairfalse/tapio/collectors/controlplane"
	"sigs.k8s.io/yaml"
)

// Reference is the shipped default file, comments included.
//
//go:embed default.yaml
var Reference []byte

// Config is everything that the file can say.
type Config struct {
	Cluster string `json:"cluster"`
	Listen  string `json:"listen"` // host:port
	Store   Store  `json:"store"`
	Engine  Engine `json:"engine"`
	Relay   Relay  `json:"relay"`
	Slack   Slack  `json:"slack"`
	OnCall  OnCall `json:"oncall"`

	ControlPlane controlplane.Config `json:"control_plane"`
}

// Store says where stories are kept and for how long.
type Store struct {
	Dir       string         `json:"dir"`
	Retention tapio.Duration `json:"retention"`
}

// Engine holds what the judgement of stories depends on.
type Engine struct {
	Quiet     tapio.Duration `json:"quiet"`
	Reopen    tapio.Duration `json:"reopen"`
	Templates []string       `json:"templates"` // paths of YAML files
}

// Relay says where the agents of nodes are heard, and which are.
type Relay struct {
	Listen   string   `json:"listen"` // host:port; empty hears no agents
	CertFile string   `json:"cert_file"`
	KeyFile  string   `json:"key_file"`
	Agents   []string `json:"agents"` // service accounts: namespace/name
	Quota    int      `json:"quota"`  // observations a second of one node
}

// Slack says how to reach Slack and where stories are told.
type Slack struct {
	BotTokenEnv       string   `json:"bot_token_env"`
	BotTokenFile      string   `json:"bot_token_file"`
	AppTokenEnv       string   `json:"app_token_env"`
	AppTokenFile      string   `json:"app_token_file"`
	SigningSecretEnv  string   `json:"signing_secret_env"`
	SigningSecretFile string   `json:"signing_secret_file"`
	SocketMode        bool     `json:"socket_mode"`
	DefaultChannel    string   `json:"default_channel"`
	Routes            []Route  `json:"routes"`
	TellResolved      []string `json:"tell_resolved"` // channels
	APIURL            string   `json:"api_url"`
	Allow             Allow    `json:"allow"`
	Digest            Digest   `json:"digest"`
	Storm             Storm    `json:"storm"`
}

// Allow says who may do what: user groups as "@handle" or ID, people as ID. An
// empty list is everybody.
type Allow struct {
	Ack  []string `json:"ack"`
	Mute []string `json:"mute"`
}

// Digest says when the default channel gets a summary.
type Digest struct {
	Every string `json:"every"` // daily, weekly or off
	At    string `json:"at"`    // as cron writes it
}

// Storm says how many new stories of a channel are too many for a message each.
type Storm struct {
	After  int            `json:"after"`  // more than so many are told in one list; 0: never
	Within tapio.Duration `json:"within"` // of this time
}

// OnCall says who is on call, and when they are called.
type OnCall struct {
	Rotations []Rotation `json:"rotations"`
	Call      Call       `json:"call"`
}

// Call says when somebody on call is called because nobody acknowledges a story.
type Call struct {
	Severity int            `json:"severity"` // the mildest: 2 is SEV1 and SEV2; 0 calls nobody
	After    tapio.Duration `json:"after"`    // how long a message stands unacknowledged first
	Every    tapio.Duration `json:"every"`    // how long each has before the next is called
	Rounds   int            `json:"rounds"`   // how often each is called at most
}

// Rotation is who is on call for a team, in turns.
type Rotation struct {
	Team   string         `json:"team"`   // empty: every team without one of its own
	People []string       `json:"people"` // Slack user IDs
	Start  string         `json:"start"`  // when the first turn began
	Each   tapio.Duration `json:"each"`   // length of a turn
	Then   []string       `json:"then"`   // Slack user IDs: whom to call after the two whose turn it is
}

// Begin is Start as a time.
func (r *Rotation) Begin() (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(layout, r.Start); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-11-02T09:00:00Z", r.Start)
}

// Route sends the stories of the namespaces that it matches to a channel.
type Route struct {
	Namespace string `json:"namespace"` // a name, or a pattern with "*"
	Channel   string `json:"channel"`
}

// Default returns what the reference file says.
func Default() (Config, error) {
	var c Config
	if err := yaml.UnmarshalStrict(Reference, &c); err != nil {
		return Config{}, fmt.Errorf("read default.yaml: %w", err)
	}
	return c, nil
}

// Load reads the file over the defaults. An empty name returns the defaults.
func Load(name string) (Config, error) {
	if name == "" {
		return Default()
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return Config{}, fmt.Errorf("read config: %w", err)
	}
	return Parse(name, data)
}

// Parse decodes a config file over the defaults. Every mistake in it is
// reported, each with line and field.
func Parse(name string, data []byte) (Config, error) {
	c, err := Default()
	if err != nil {
		return Config{}, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return c, nil
	}
	doc, err := strict.Parse(name, data)
	if err != nil {
		return Config{}, err
	}
	if err := doc.Check(c); err != nil {
		return Config{}, err
	}
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	var errs []error
	for _, p := range c.problems() {
		errs = append(errs, fmt.Errorf("%s:%d: %s: %s", name, doc.Line(p.field), p.field, p.text))
	}
	if len(errs) > 0 {
		return Config{}, errors.Join(errs...)
	}
	return c, nil
}

// problem is a value that has the right type and can't be meant.
type problem struct{ field, text string }

var (
	channelForm = regexp.MustCompile(`^(#[^\s#@,]{1,79}|[CG][A-Z0-9]{6,})$`)
	groupForm   = regexp.MustCompile(`^(@[^\s@]{1,80}|[SUW][A-Z0-9]{6,})$`)
	personForm  = regexp.MustCompile(`^[UW][A-Z0-9]{6,}$`)
	envForm     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

const (
	badChannel = "is not a channel; write it as \"#name\", in quotes because # begins a comment, or as a channel ID such as C0123456789"
	badEnv     = "is the name of an environment variable, such as SLACK_BOT_TOKEN; a token itself never stands in this file"
)

func (c *Config) problems() []problem {
	var out []problem
	add := func(field, text string) { out = append(out, problem{field, text}) }

	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		add("listen", fmt.Sprintf("%q is not an address such as 127.0.0.1:8080", c.Listen))
	}
	if c.Store.Dir == "" {
		add("store.dir", "is empty; name a folder that outlives a restart")
	}
	if c.Store.Retention == 0 {
		add("store.retention", "is 0; say how long stories are kept, such as 720h")
	}
	if c.Engine.Quiet == 0 {
		add("engine.quiet", "is 0; a story needs some quiet time before it is resolved, such as 1m")
	}
	for i, t := range c.Engine.Templates {
		if t == "" {
			add(fmt.Sprintf("engine.templates[%d]", i), "is empty; name a file")
		}
	}
	out = append(out, c.Relay.problems()...)
	s := &c.Slack
	for _, e := range []struct{ field, value string }{
		{"slack.bot_token_env", s.BotTokenEnv},
		{"slack.app_token_env", s.AppTokenEnv},
		{"slack.signing_secret_env", s.SigningSecretEnv},
	} {
		// The value isn't repeated: it may be a secret in the wrong place.
		if e.value != "" && !envForm.MatchString(e.value) {
			add(e.field, badEnv)
		}
	}
	if !channelForm.MatchString(s.DefaultChannel) {
		add("slack.default_channel", fmt.Sprintf("%q %s", s.DefaultChannel, badChannel))
	}
	for i, r := range s.Routes {
		if r.Namespace == "" {
			add(fmt.Sprintf("slack.routes[%d]", i), "has no namespace; name one, or a pattern such as \"shop-*\"")
		} else if _, err := path.Match(r.Namespace, ""); err != nil {
			add(fmt.Sprintf("slack.routes[%d].namespace", i), fmt.Sprintf("%q is not a pattern; use letters, digits, - and *", r.Namespace))
		}
		if !channelForm.MatchString(r.Channel) {
			add(fmt.Sprintf("slack.routes[%d].channel", i), fmt.Sprintf("%q %s", r.Channel, badChannel))
		}
	}
	for i, c := range s.TellResolved {
		if !channelForm.MatchString(c) {
			add(fmt.Sprintf("slack.tell_resolved[%d]", i), fmt.Sprintf("%q %s", c, badChannel))
		}
	}
	for _, l := range []struct {
		field string
		names []string
	}{{"slack.allow.ack", s.Allow.Ack}, {"slack.allow.mute", s.Allow.Mute}} {
		for i, name := range l.names {
			if !groupForm.MatchString(name) {
				add(fmt.Sprintf("%s[%d]", l.field, i), fmt.Sprintf("%q is neither a user group such as \"@sre\", in quotes, nor the ID of a group or a person", name))
			}
		}
	}
	if !slices.Contains([]string{"daily", "weekly", "off"}, s.Digest.Every) {
		add("slack.digest.every", fmt.Sprintf("%q is none of daily, weekly, \"off\"", s.Digest.Every))
	}
	if _, err := cron.ParseStandard(s.Digest.At); err != nil {
		add("slack.digest.at", fmt.Sprintf("%q is not minute, hour, day, month and weekday as cron writes them, such as \"0 9 * * *\"", s.Digest.At))
	}
	for i := range c.OnCall.Rotations {
		r := &c.OnCall.Rotations[i]
		field := fmt.Sprintf("oncall.rotations[%d]", i)
		if len(r.People) == 0 {
			add(field, "names no people; list Slack user IDs such as U0123456789")
		}
		for _, p := range r.People {
			if !personForm.MatchString(p) {
				add(field+".people", fmt.Sprintf("%q is not the ID of a person in Slack, such as U0123456789; it stands in the person's profile under ⋮", p))
			}
		}
		for _, p := range r.Then {
			if !personForm.MatchString(p) {
				add(field+".then", fmt.Sprintf("%q is not the ID of a person in Slack, such as U0123456789; it stands in the person's profile under ⋮", p))
			}
		}
		if _, err := r.Begin(); err != nil {
			add(field+".start", err.Error())
		}
		if r.Each <= 0 {
			add(field+".each", "is 0; say how long a turn is, such as 168h")
		}
	}
	for _, m := range c.ControlPlane.Check() {
		add("control_plane."+m.Field, m.Text)
	}
	if call := c.OnCall.Call; call.Severity < 0 || call.Severity > 5 {
		add("oncall.call.severity", fmt.Sprintf("%d is none of 1 to 5, nor 0 for calling nobody", call.Severity))
	} else if call.Severity > 0 {
		if call.After < tapio.Duration(time.Second) {
			add("oncall.call.after", "leaves no time to acknowledge; say how long, such as 5m")
		}
		if call.Every < tapio.Duration(time.Minute) {
			add("oncall.call.every", "is less than 1m, which nobody can answer in; say how long, such as 10m")
		}
		if call.Rounds < 1 {
			add("oncall.call.rounds", fmt.Sprintf("is %d; say how often each person is called at most, such as 2", call.Rounds))
		}
	}
	if s.Storm.After < 0 {
		add("slack.storm.after", fmt.Sprintf("%d is not a number of stories; 0 gives each a message whatever comes", s.Storm.After))
	}
	if s.Storm.Within <= 0 {
		add("slack.storm.within", "is 0; say within what time, such as 1m")
	}
	if u, err := url.Parse(s.APIURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		add("slack.api_url", fmt.Sprintf("%q is not an http or https URL", s.APIURL))
	} else if !strings.HasSuffix(s.APIURL, "/") {
		add("slack.api_url", fmt.Sprintf("%q must end in a slash", s.APIURL))
	}
	return out
}
