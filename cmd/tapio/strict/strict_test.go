package strict_test

import (
	"strings"
	"testing"

	"github.com/yairfalse/tapio"
	"github.com/yairfalse/tapio/cmd/tapio/strict"
)

type file struct {
	Templates []tapio.Template `json:"templates"`
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"good", "templates:\n- id: a\n  time_window: 5m\n  business_impact_scale: 1.5\n  pattern:\n  - {type: pod.ready, min_count: 2, capture: {object: x}}\n", ""},
		{"named by id", "templates:\n- id: my-oom\n  titel_template: x\n", "f.yaml:3: unknown field templates[my-oom].titel_template; did you mean title_template?"},
		{"named by place", "templates:\n- pattern: [{reson: x}]\n", "f.yaml:2: unknown field templates[0].pattern[0].reson; did you mean reason?"},
		{"number", "templates:\n- id: a\n  pattern: [{min_count: two}]\n", `f.yaml:3: templates[a].pattern[0].min_count: "two" is not a number`},
		{"duration", "templates:\n- id: a\n  hold: soon\n", `f.yaml:3: templates[a].hold: "soon" is not a duration such as 30s or 10m`},
		{"map is a list", "templates:\n- id: a\n  pattern: [{capture: [x]}]\n", "f.yaml:3: templates[a].pattern[0].capture: want fields here"},
		{"anchor", "templates:\n- &t {id: a, hold: 1s}\n- *t\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := strict.Parse("f.yaml", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			err = d.Check(file{})
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}
