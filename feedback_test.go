package tapio

import (
	"reflect"
	"testing"
	"time"
)

func TestFeedbackRecord(t *testing.T) {
	f := Feedback{Story: "s1", Time: time.Date(2026, 11, 2, 14, 2, 0, 0, time.UTC), By: "@a/b", User: "U1/2", Told: CauseOOMLimit, Right: CauseKeyMissing, Text: "x"}
	r := f.Record()
	if r.Key != "feedback/s1/U1_2" {
		t.Errorf("key %s", r.Key)
	}
	got, err := DecodeFeedback(r)
	if err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseEntity(t *testing.T) {
	for in, want := range map[string]Entity{
		"ConfigMap/shop/cache":  {Kind: KindConfigMap, Namespace: "shop", Name: "cache"},
		"deploy/shop/checkout":  {Kind: KindDeployment, Namespace: "shop", Name: "checkout"},
		" `node/worker-3` ":     {Kind: KindNode, Name: "worker-3"},
		"Registry/reg.example":  {Kind: KindRegistry, Name: "reg.example"},
		"checkout":              {},
		"a/b/c/d":               {},
		"ConfigMap//x":          {},
		"the cache of checkout": {},
	} {
		got, err := ParseEntity(in)
		if got != want || (err != nil) != want.IsZero() {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func FuzzDecodeFeedback(f *testing.F) {
	f.Add((&Feedback{Story: "s"}).Record().Value)
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := DecodeFeedback(Record{Value: data}); err != nil && v.Story != "" {
			t.Error("feedback beside an error")
		}
		_, _ = ParseEntity(string(data))
	})
}
