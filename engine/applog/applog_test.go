package applog

import (
	"os"
	"strings"
	"testing"
	"time"
)

// words writes what a story needs of an error, as testdata/words.txt does.
func words(e Error) string {
	out := string(e.Class)
	if e.Host != "" || e.Port != "" {
		out += " " + e.Host
		if e.Port != "" {
			out += ":" + e.Port
		}
	}
	for _, x := range [][2]string{{"user", e.User}, {"db", e.Database}, {"path", e.Path}, {"name", e.Name}, {"verb", e.Verb}, {"resource", e.Resource}, {"account", e.Account}} {
		if x[1] != "" {
			out += " " + x[0] + "=" + x[1]
		}
	}
	return out
}

func TestWords(t *testing.T) {
	data, err := os.ReadFile("testdata/words.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(data), "\n== ")
	entries := strings.Split(body, "\n== ")
	if len(entries) < 150 {
		t.Errorf("%d entries, want at least 150", len(entries))
	}
	for _, entry := range entries {
		want, log, _ := strings.Cut(entry, "\n")
		want = strings.TrimSuffix(want, ":")
		errors := Read(log).Errors
		got := "nothing"
		if len(errors) > 0 {
			got = words(errors[0])
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", log, got, want)
		}
	}
}

// tail repeats lines, with the time counted up by a second each.
func tail(lines ...string) string { return strings.Join(lines, "\n") }

func TestRead(t *testing.T) {
	refused := "2026-01-01T12:00:01Z ERROR dial tcp 10.96.0.9:8080: connect: connection refused"
	tests := []struct {
		name, log string
		want      string // class and peer of each error, in order
		count     int    // of the first
		after     int
		mended    bool
	}{
		{"counted", tail(refused, refused, refused), "refused 10.96.0.9:8080", 3, 0, false},
		{"mended", tail(refused, refused, "2026-01-01T12:00:09Z INFO connected to 10.96.0.9:8080"), "refused 10.96.0.9:8080", 2, 1, true},
		{"not mended by waiting", tail(refused, "2026-01-01T12:00:09Z INFO not connected to the server, waiting"), "refused 10.96.0.9:8080", 1, 1, false},
		{"many near the end before one", tail(refused, refused, refused, "ERROR open /etc/x: no such file or directory"), "refused 10.96.0.9:8080, missing_file path=/etc/x", 3, 1, false},
		{"what ends it first", tail(refused, refused, refused, "panic: required key DB_URL missing value"), "missing_setting name=DB_URL, refused 10.96.0.9:8080", 1, 0, false},
		{"without a peer", tail(refused, "ERROR connection refused"), "refused 10.96.0.9:8080", 2, 1, false},
		{"debug", "DEBUG connection refused", "", 0, 0, false},
		{"info", "INFO connection refused, trying again", "", 0, 0, false},
		{"pino", `{"level":50,"time":1767268800000,"err":{"type":"Error","message":"connect ECONNREFUSED 10.96.0.9:5432","code":"ECONNREFUSED"},"msg":"query failed"}`, "refused 10.96.0.9:5432", 1, 0, false},
		{"logback JSON", `{"@timestamp":"2026-01-01T12:00:00.000Z","level":"ERROR","message":"boot","stack_trace":"a.B: boot\n\tat a.B.c(B.java:1)\nCaused by: java.net.UnknownHostException: mysql\n\tat a.B.d(B.java:2)"}`, "name_not_found mysql", 1, 0, false},
		{"deepest cause", tail("java.lang.IllegalStateException: boot", "\tat a.B.c(B.java:1)", "Caused by: org.hibernate.HibernateException: Access to DialectResolutionInfo cannot be null", "Caused by: java.sql.SQLException: Access denied for user 'app'@'10.0.0.3' (using password: YES)", "\tat d.E.f(E.java:9)"), "auth_failed user=app", 1, 0, false},
		{"URL beside it", tail("ERROR cannot open jdbc:mysql://mysql:3306/shop", "Caused by: java.sql.SQLException: Access denied for user 'app'@'10.0.0.3' (using password: YES)"), "auth_failed mysql:3306 user=app db=shop", 1, 0, false},
		{"empty", "", "", 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			errors := Read(tt.log).Errors
			for _, e := range errors {
				got = append(got, words(e))
			}
			if all := strings.Join(got, ", "); all != tt.want {
				t.Fatalf("got %s, want %s", all, tt.want)
			}
			if len(errors) == 0 {
				return
			}
			if e := errors[0]; e.Count != tt.count || e.After != tt.after || e.Mended != tt.mended {
				t.Errorf("count %d, %d after, mended %v; want %d, %d, %v", e.Count, e.After, e.Mended, tt.count, tt.after, tt.mended)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, line := range []string{
		"2026-01-02T03:04:05Z x", "2026-01-02 03:04:05,000 INFO x", "[2026-01-02T05:04:05+02:00] x", "2026/01/02 03:04:05 x",
		"1:M 02 Jan 2026 03:04:05.000 * x", `10.0.0.1 - - [02/Jan/2026:03:04:05 +0000] "GET /"`,
		`{"time":"2026-01-02T03:04:05Z","msg":"x"}`, `{"ts":1767323045,"msg":"x"}`, `{"time":1767323045000,"msg":"x"}`, `{"instant":{"epochSecond":1767323045},"message":"x"}`,
	} {
		if got := Read(line).Newest; !got.Equal(want) {
			t.Errorf("%s: %s", line, got)
		}
	}
	if got := Read("took 12:00:01 on line 2026").Newest; !got.IsZero() {
		t.Errorf("a time where there is none: %s", got)
	}
}

func FuzzRead(f *testing.F) {
	data, err := os.ReadFile("testdata/words.txt")
	if err != nil {
		f.Fatal(err)
	}
	for entry := range strings.SplitSeq(string(data), "\n== ") {
		f.Add(entry)
	}
	f.Add(`{"level":{"a":[{"msg":"` + strings.Repeat("x", 100) + `"}]},"err":{"err":{"err":{"err":"refused"}}}}`)
	f.Fuzz(func(t *testing.T, log string) {
		r := Read(log)
		if len(r.Errors) > maxErrors {
			t.Errorf("%d errors", len(r.Errors))
		}
		for _, e := range r.Errors {
			if e.Class == "" || e.Count < 1 || e.After < 0 || e.After >= r.Records || len(e.Line) > maxLine+len("…") {
				t.Errorf("%+v of %d records", e, r.Records)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	line := `{"http.req.id":"0","http.req.method":"GET","http.req.path":"/","message":"request started","severity":"debug","timestamp":"2026-01-01T12:00:00.5Z"}` + "\n"
	bad := `{"error":"rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp 10.96.0.9:50051: connect: connection refused\"","message":"request error","severity":"error","timestamp":"2026-01-01T12:00:00.5Z"}` + "\n"
	log := strings.Repeat(line+line+line+bad, 12)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		Read(log)
	}
}
