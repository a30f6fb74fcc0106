package narrate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// count writes a number and its noun: "1 pod", "12 pods", "3 registries".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + plural(noun)
}

func plural(noun string) string {
	if stem, ok := strings.CutSuffix(noun, "y"); ok && stem != "" && !strings.ContainsAny(stem[len(stem)-1:], "aeiou") {
		return stem + "ies"
	}
	if strings.HasSuffix(noun, "s") || strings.HasSuffix(noun, "x") {
		return noun + "es"
	}
	return noun + "s"
}

// times writes how often something happened, or "" where it is not known.
func times(n int) string {
	switch {
	case n <= 0:
		return ""
	case n == 1:
		return "once"
	case n == 2:
		return "twice"
	}
	return strconv.Itoa(n) + " times"
}

// upper writes the first letter in upper case, for the start of a sentence.
func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || r == utf8.RuneError {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// lower writes a leading article or the like in lower case, for use after
// "Most likely". A name keeps its letters.
func lower(s string) string {
	first, _, _ := strings.Cut(s, " ")
	switch first {
	case "The", "A", "An", "By", "It", "Its", "No", "None", "Nothing", "Something", "Pods", "Container", "Each", "Every", "All", "Some", "There", "This":
		return strings.ToLower(first) + s[len(first):]
	}
	return s
}

// span writes a duration for people: "40 s", "6 min", "2 h 10 min", "3 days".
func span(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	switch {
	case d < time.Second:
		return "less than 1 s"
	case d < 90*time.Second:
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	case d < time.Hour-30*time.Second:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		m := int(d.Round(time.Minute).Minutes())
		if m%60 == 0 {
			return fmt.Sprintf("%d h", m/60)
		}
		return fmt.Sprintf("%d h %d min", m/60, m%60)
	}
	h := int(d.Round(time.Hour).Hours())
	if h%24 == 0 {
		return count(h/24, "day")
	}
	return fmt.Sprintf("%s %d h", count(h/24, "day"), h%24)
}

// clock writes a time of day, with the date where it is not the day of ref.
func clock(t, ref time.Time) string { return clockOnly(t, ref) + " UTC" }

func clockOnly(t, ref time.Time) string {
	t, ref = t.UTC(), ref.UTC()
	switch {
	case t.Year() != ref.Year():
		return t.Format("2 Jan 2006 15:04")
	case t.YearDay() != ref.YearDay():
		return t.Format("2 Jan 15:04")
	}
	return t.Format("15:04")
}

// between writes a stretch of time: "between 14:02 and 14:06 UTC", or "at 14:02
// UTC" where both are the same minute.
func between(from, to, ref time.Time) string {
	a, b := clockOnly(from, ref), clockOnly(to, ref)
	if a == b {
		return "at " + a + " UTC"
	}
	return "between " + a + " and " + b + " UTC"
}

// list joins words: "a", "a and b", "a, b and c"; more than most are counted.
func list(words []string, most int) string {
	if len(words) > most {
		return strings.Join(words[:most], ", ") + " and " + strconv.Itoa(len(words)-most) + " more"
	}
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// exit words an exit code. A code above 128 names its signal and nothing more:
// 137 says that something sent SIGKILL, not that memory ran out.
func exit(code string) string {
	n, err := strconv.Atoi(code)
	if err != nil {
		return ""
	}
	if s := signalName(n - 128); s != "" {
		return fmt.Sprintf("exit %d (%s)", n, s)
	}
	return fmt.Sprintf("exit %d", n)
}

// signalName returns the name that Linux gives a signal number, for those that
// end processes in practice, or "".
func signalName(n int) string {
	switch n {
	case 1:
		return "SIGHUP"
	case 2:
		return "SIGINT"
	case 3:
		return "SIGQUIT"
	case 4:
		return "SIGILL"
	case 5:
		return "SIGTRAP"
	case 6:
		return "SIGABRT"
	case 7:
		return "SIGBUS"
	case 8:
		return "SIGFPE"
	case 9:
		return "SIGKILL"
	case 11:
		return "SIGSEGV"
	case 13:
		return "SIGPIPE"
	case 14:
		return "SIGALRM"
	case 15:
		return "SIGTERM"
	case 24:
		return "SIGXCPU"
	case 25:
		return "SIGXFSZ"
	case 31:
		return "SIGSYS"
	}
	return ""
}

// size writes an amount of memory as people write it: a plain number of bytes
// becomes "32Mi"; a Kubernetes quantity stays as it is.
func size(q string) string {
	n, err := strconv.ParseInt(q, 10, 64)
	if err != nil || n < 1024 {
		return q
	}
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}} {
		if n >= u.bytes {
			if n%u.bytes == 0 {
				return fmt.Sprintf("%d%s", n/u.bytes, u.name)
			}
			return fmt.Sprintf("%.1f%s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return q
}

// doubled returns twice a quantity of memory, or "" where it is not a whole
// number with an ordinary unit.
func doubled(q string) string {
	q = size(q)
	digits := strings.TrimRight(q, "KMGTkiB")
	unit := q[len(digits):]
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n <= 0 {
		return ""
	}
	switch unit {
	case "Ki", "Mi", "Gi", "Ti", "k", "M", "G", "T":
		return strconv.FormatInt(2*n, 10) + unit
	}
	return ""
}
