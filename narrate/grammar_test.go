package narrate

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{0, "less than 1 s"},
		{999 * time.Millisecond, "less than 1 s"},
		{time.Second, "1 s"},
		{40 * time.Second, "40 s"},
		{-40 * time.Second, "40 s"},
		{89 * time.Second, "89 s"},
		{90 * time.Second, "2 min"},
		{6 * time.Minute, "6 min"},
		{59*time.Minute + 29*time.Second, "59 min"},
		{59*time.Minute + 30*time.Second, "1 h"},
		{130 * time.Minute, "2 h 10 min"},
		{47*time.Hour + 59*time.Minute + 50*time.Second, "48 h"},
		{48 * time.Hour, "2 days"},
		{51 * time.Hour, "2 days 3 h"},
		{24 * 100 * time.Hour, "100 days"},
	} {
		if got := span(tc.d); got != tc.want {
			t.Errorf("span(%v) = %q, want %q", tc.d, got, tc.want)
		}
	}
}

func TestTimesOfDay(t *testing.T) {
	ref := time.Date(2026, 11, 2, 0, 30, 0, 0, time.UTC)
	for _, tc := range []struct {
		at   time.Time
		want string
	}{
		{ref, "00:30 UTC"},
		{ref.Add(-time.Hour), "1 Nov 23:30 UTC"},
		{ref.AddDate(-1, 0, 0), "2 Nov 2025 00:30 UTC"},
		{ref.In(time.FixedZone("elsewhere", 5*3600)), "00:30 UTC"},
	} {
		if got := clock(tc.at, ref); got != tc.want {
			t.Errorf("clock(%v) = %q, want %q", tc.at, got, tc.want)
		}
	}
	if got, want := between(ref, ref.Add(20*time.Second), ref), "at 00:30 UTC"; got != want {
		t.Errorf("between = %q, want %q", got, want)
	}
	if got, want := between(ref.Add(-time.Hour), ref, ref), "between 1 Nov 23:30 and 00:30 UTC"; got != want {
		t.Errorf("between = %q, want %q", got, want)
	}
}

func TestCounting(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{count(0, "pod"), "0 pods"},
		{count(1, "pod"), "1 pod"},
		{count(2, "registry"), "2 registries"},
		{count(2, "day"), "2 days"},
		{times(-1), ""},
		{times(0), ""},
		{times(1), "once"},
		{times(2), "twice"},
		{times(12), "12 times"},
		{list(nil, 3), ""},
		{list([]string{"a"}, 3), "a"},
		{list([]string{"a", "b"}, 3), "a and b"},
		{list([]string{"a", "b", "c"}, 3), "a, b and c"},
		{list([]string{"a", "b", "c", "d", "e"}, 3), "a, b, c and 2 more"},
		{upper("éclair"), "Éclair"},
		{lower("The limit"), "the limit"},
		{lower("CoreDNS is down"), "CoreDNS is down"},
		{lower("Container app"), "container app"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestExitNeverGuesses(t *testing.T) {
	for code, want := range map[string]string{
		"":     "",
		"x":    "",
		"0":    "exit 0",
		"1":    "exit 1",
		"127":  "exit 127",
		"128":  "exit 128",
		"137":  "exit 137 (SIGKILL)",
		"139":  "exit 139 (SIGSEGV)",
		"143":  "exit 143 (SIGTERM)",
		"255":  "exit 255",
		"-1":   "exit -1",
		"9999": "exit 9999",
	} {
		if got := exit(code); got != want {
			t.Errorf("exit(%q) = %q, want %q", code, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, tc := range []struct{ in, size, doubled string }{
		{"", "", ""},
		{"256Mi", "256Mi", "512Mi"},
		{"33554432", "32Mi", "64Mi"},
		{"1500000000", "1.4Gi", ""},
		{"1.5Gi", "1.5Gi", ""},
		{"1G", "1G", "2G"},
		{"512", "512", ""},
		{"0Mi", "0Mi", ""},
		{"99999999999Mi", "99999999999Mi", ""},
		{"$(reboot)Mi", "$(reboot)Mi", ""},
	} {
		if got := size(tc.in); got != tc.size {
			t.Errorf("size(%q) = %q, want %q", tc.in, got, tc.size)
		}
		if got := doubled(tc.in); got != tc.doubled {
			t.Errorf("doubled(%q) = %q, want %q", tc.in, got, tc.doubled)
		}
	}
}
