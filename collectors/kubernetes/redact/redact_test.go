package redact

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	jwt := "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP"
	tests := []struct{ name, in, want string }{
		{"assigned", "connect password=hunter2 host=db", "connect password=(hidden) host=db"},
		{"assigned quoted", `DB_PASSWORD="a b c" next`, `DB_PASSWORD=(hidden) next`},
		{"environment", "AWS_SECRET_ACCESS_KEY=abc/def+1 x", "AWS_SECRET_ACCESS_KEY=(hidden) x"},
		{"query", "GET /x?access_token=abc&user=7", "GET /x?access_token=(hidden)&user=7"},
		{"json", `{"user":"a","apiKey":"s3cr3t","n":1}`, `{"user":"a","apiKey":"(hidden)","n":1}`},
		{"json in json", `{"m":"{\"password\":\"s3cr3t\"}"}`, `{"m":"{\"password\":\"(hidden)\"}"}`},
		{"yaml at end of line", "password: correcthorse", "password: (hidden)"},
		{"yaml quoted", "client_secret: 'abc'", "client_secret: (hidden)"},
		{"colon with digits", "token: 8f3a9b2c1d", "token: (hidden)"},
		{"flag", "run --db-password hunter2 --verbose", "run --db-password (hidden) --verbose"},
		{"bearer", "Authorization: Bearer abcdefghijklmnop123", "Authorization: Bearer (hidden)"},
		{"bearer alone", "sent bearer abcdefghijklmnop123=", "sent bearer (hidden)"},
		{"header", "x-api-key: abcdefghijklmnop", "x-api-key: (hidden)"},
		{"jwt", "got " + jwt + " back", "got (hidden) back"},
		{"aws", "key AKIAIOSFODNN7EXAMPLE used", "key (hidden) used"},
		{"slack", "using xoxb-12345678901-abcdef", "using (hidden)"},
		{"github", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", "(hidden)"},
		{"url", "dial postgres://app:p@ss@db:5432/x failed", "dial postgres://(hidden)@db:5432/x failed"},
		{"url without user", "redis://:pw@cache:6379", "redis://(hidden)@cache:6379"},
		{"dsn", "app:pw@tcp(db:3306)/shop", "(hidden)@tcp(db:3306)/shop"},
		{"pem", "key:\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nafter", "key:\n-----BEGIN RSA PRIVATE KEY----- (hidden)\nafter"},
		{"pem cut off at the end", "-----BEGIN PRIVATE KEY-----\nMIIabc", "-----BEGIN PRIVATE KEY----- (hidden)"},
		{"pem cut off at the start", "QUJDREVGR0hJSktMTU5PUFFS\n-----END EC PRIVATE KEY-----\nok", "(hidden)\nok"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := Text(test.in); got != test.want {
				t.Errorf("Text(%q)\n got %q\nwant %q", test.in, got, test.want)
			}
		})
	}
}

// The words by which a failure is known must come through unchanged.
func TestTextKeepsFailures(t *testing.T) {
	for _, s := range []string{
		`secret "db-password" not found`,
		`configmap "token" not found`,
		`couldn't find key password in Secret shop/db`,
		`MountVolume.SetUp failed for volume "token" : secret "x" not found`,
		`failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://auth.docker.io/token?scope=repository%3Ax&service=registry.docker.io: 401 Unauthorized`,
		`Failed to pull image "registry.test/shop/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08": rpc error: code = NotFound`,
		`exceeded quota: q, requested: secrets=1, used: secrets=1, limited: secrets=1`,
		`pods "web-1" is forbidden: error looking up service account shop/token: serviceaccount "token" not found`,
		`0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }`,
		`FATAL: password authentication failed for user "app"`,
		`Access denied for user 'app'@'10.0.0.1' (using password: YES)`,
		`Back-off pulling image "ghcr.io/a/b:1"`,
		`Readiness probe failed: Get "http://10.0.0.7:8080/token": dial tcp 10.0.0.7:8080: connect: connection refused`,
		`max_tokens=4096 tokenizer=bpe`,
	} {
		if got := Text(s); got != s {
			t.Errorf("Text changed a failure\n from %s\n   to %s", s, got)
		}
	}
}

func TestValue(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"DB_PASSWORD", "hunter2", Hidden},
		{"API_KEY", "x", Hidden},
		{"SECRET_KEY_BASE", "x", Hidden},
		{"TOKEN_FILE", "/run/token", "/run/token"},
		{"LOG_LEVEL", "debug", "debug"},
		{"DATABASE_URL", "postgres://a:b@db/x", "postgres://" + Hidden + "@db/x"},
		{"DB_PASSWORD", "", ""},
		{"MONKEY", "banana", "banana"},
	}
	for _, test := range tests {
		if got := Value(test.name, test.value); got != test.want {
			t.Errorf("Value(%q, %q) = %q, want %q", test.name, test.value, got, test.want)
		}
	}
}

func TestLastError(t *testing.T) {
	tests := []struct{ name, log, want string }{
		{"nothing wrong", "started\nlistening on :8080\n0 errors", ""},
		{"go panic", "starting\npanic: runtime error: index out of range [3]\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:12 +0x1d\nexit status 2", "panic: runtime error: index out of range [3]"},
		{"python", "Traceback (most recent call last):\n  File \"/app/x.py\", line 3, in <module>\n    connect()\nConnectionError: cannot reach db:5432", "ConnectionError: cannot reach db:5432"},
		{"java cause", "Exception in thread \"main\" java.lang.RuntimeException: boot\n\tat a.B.c(B.java:1)\nCaused by: java.net.ConnectException: Connection refused\n\tat x.Y.z(Y.java:2)\n\t... 3 more", "Caused by: java.net.ConnectException: Connection refused"},
		{"node", "node:internal/modules/cjs/loader:1080\n  throw err;\n  ^\nError: Cannot find module 'express'\n    at Module._resolve (node:internal/x:1)\n", "Error: Cannot find module 'express'"},
		{"rust", "thread 'main' panicked at src/main.rs:2:5:\nno config\nnote: run with `RUST_BACKTRACE=1`", "thread 'main' panicked at src/main.rs:2:5: no config"},
		{"level", "level=error msg=\"first\"\nlevel=error msg=\"last\"\nlevel=info msg=\"failed over\"", "level=error msg=\"last\""},
		{"json level", `{"level":"info","msg":"connection refused once"}` + "\n" + `{"level":"error","msg":"giving up"}`, "giving up"},
		{"json message and error", `{"severity":"error","message":"no cart","error":"dial tcp: refused"}`, "no cart: dial tcp: refused"},
		{"dotnet", "Unhandled exception. System.IO.IOException: disk gone\n   at App.Main()\n   --- End of inner exception stack trace ---", "Unhandled exception. System.IO.IOException: disk gone"},
		{"setting named timeout", "coordinator timeout: 0ms", ""},
		{"shell", "sh: 1: frobnicate: not found", "sh: 1: frobnicate: not found"},
		{"colour", "\x1b[31mERROR\x1b[0m no database", "ERROR no database"},
		{"null error", `{"error":null,"msg":"ok"}`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := LastError(strings.Split(test.log, "\n")); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	f.Add("password=x https://a:b@c Bearer abcdefghijklmnopq -----BEGIN PRIVATE KEY-----\nx")
	f.Add(`{"token":"x"} --api-key y`)
	f.Add("run \t--db-password\nhunter2, 'token' : 'x', access_key.id=y pwd: z")
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if want := textByPatterns(s); got != want {
			t.Errorf("Text(%q) is %q; by the patterns alone it is %q", s, got, want)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("Text(%q) is no valid text: %q", s, got)
		}
		LastError(strings.Split(got, "\n"))
	})
}

// textByPatterns is Text with every pattern tried on what holds its marks.
func textByPatterns(s string) string {
	if len(s) < 6 {
		return s
	}
	lower := strings.ToLower(s)
	for _, r := range rules {
		if bears(lower, r.marks) {
			for _, p := range r.patterns {
				s = p.looks.ReplaceAllString(s, p.with)
			}
		}
	}
	return s
}

func BenchmarkText(b *testing.B) {
	s := `Failed to pull image "registry.test/shop/app:1": rpc error: code = NotFound desc = failed to pull and unpack image "registry.test/shop/app:1": failed to resolve reference: not found`
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Text(s)
	}
}

// TestHarmless shows that the quick look at a line never hides what the patterns
// would find: each alternative of theirs is tried.
func TestHarmless(t *testing.T) {
	for _, line := range []string{
		"panic: x", "fatal error: x", "thread 'main' panicked at x", "FATAL", "Fatal x", "level=panic", "level:critical", `"severity":"fatal"`,
		"Segmentation Fault", "F1123 x", "Caused by: x", "java.lang.NullPointerException: x", "TypeError", "Exception in thread x",
		"unhandled rejection", "Unhandled Promise", "x ERROR y", "[error] x", "level=err", "severity: ERR", "E1123 x", "error: x",
		"it failed", "a failure", "cannot", "can't", "could not", "couldn't", "unable to", "permission denied", "refused", "forbidden", "invalid",
		"missing", "not found", "no such", "Out of memory", "timed out", "deadline exceeded", "unreachable", "i/o timeout", "timeout after 3s",
	} {
		if harmless(line) {
			t.Errorf("%q is passed over, and yet it ranks %d", line, patternRank(line))
		}
		if patternRank(line) == 0 {
			t.Errorf("%q does not rank: it proves nothing here", line)
		}
	}
	for _, line := range []string{"", "GET /healthz 200", "Edge", "listening on :8080", "started in 3 s"} {
		if !harmless(line) {
			t.Errorf("%q is looked at in full", line)
		}
	}
}

func BenchmarkLastError(b *testing.B) {
	lines := make([]string, 100)
	for i := range lines {
		lines[i] = `{"level":"info","ts":"2026-11-23T10:00:00Z","msg":"request complete","method":"GET","path":"/cart","status":200,"took_ms":3}`
	}
	for b.Loop() {
		LastError(lines)
	}
}

// TestSecretMarks has every name of a secret hidden: a name that no mark is in
// would be passed over.
func TestSecretMarks(t *testing.T) {
	names := []string{"password", "passwords", "passwd", "passphrase", "pwd", "secret", "token", "credential", "credentials", "signature"}
	for _, between := range []string{"", "-", "_", "."} {
		for _, of := range []string{"api", "access", "secret", "private", "signing", "account", "auth"} {
			names = append(names, of+between+"key", strings.ToUpper(of+between+"key"))
		}
		names = append(names, "access"+between+"key"+between+"id")
	}
	for _, name := range names {
		if got, want := Text("my"+name+"=abc123xyz"), "my"+name+"="+Hidden; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
