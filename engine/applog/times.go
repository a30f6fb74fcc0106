package applog

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	stamp = regexp.MustCompile(`\b(\d{4})[-/](\d{2})[-/](\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?\s?(Z|UTC|[+-]\d{2}:?\d{2})?`)
	spelt = regexp.MustCompile(`\b(\d{1,2})[ /]([A-Z][a-z]{2})[ /](\d{4})[ :](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?`)
)

// searchedForTime is how much of a line's beginning holds its time.
const searchedForTime = 120

// timeOf returns the time that a line begins with, in UTC. Where it names no
// zone, containers are taken to run in UTC. It returns the zero time where
// there is none.
func timeOf(line string) time.Time {
	if len(line) > searchedForTime {
		line = line[:searchedForTime]
	}
	if m := stamp.FindStringSubmatch(line); m != nil {
		return clock(m[1], m[2], m[3], m[4:7], m[7], m[8])
	}
	if m := spelt.FindStringSubmatch(line); m != nil {
		if month, err := time.Parse("Jan", m[2]); err == nil {
			return clock(m[3], strconv.Itoa(int(month.Month())), m[1], m[4:7], m[7], "")
		}
	}
	return time.Time{}
}

func clock(year, month, day string, hms []string, fraction, zone string) time.Time {
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	nanos := 0
	if fraction != "" {
		nanos = number(fraction + strings.Repeat("0", 9-len(fraction)))
	}
	t := time.Date(number(year), time.Month(number(month)), number(day), number(hms[0]), number(hms[1]), number(hms[2]), nanos, time.UTC)
	if z := strings.Replace(zone, ":", "", 1); len(z) == 5 {
		offset := time.Duration(number(z[1:3]))*time.Hour + time.Duration(number(z[3:5]))*time.Minute
		if z[0] == '-' {
			offset = -offset
		}
		t = t.Add(-offset)
	}
	if y := t.Year(); y < 2000 || y > 2200 {
		return time.Time{}
	}
	return t
}

// timeOfValue reads the time of a JSON logger: a text, or a number of seconds,
// milliseconds, microseconds or nanoseconds since 1970.
func timeOfValue(v any) time.Time {
	switch v := v.(type) {
	case string:
		if t := timeOf(v); !t.IsZero() {
			return t
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			return epoch(n)
		}
	case float64:
		return epoch(v)
	case map[string]any:
		for _, k := range []string{"epochSecond", "seconds", "$date"} {
			if inner, ok := v[k]; ok {
				return timeOfValue(inner)
			}
		}
	}
	return time.Time{}
}

// epoch tells the unit of a time since 1970 by its size.
func epoch(n float64) time.Time {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond, time.Nanosecond} {
		if perSecond := float64(time.Second / unit); n >= 946684800*perSecond && n < 7258118400*perSecond { // the years 2000 to 2200
			seconds := n / perSecond
			whole := int64(seconds)
			return time.Unix(whole, int64((seconds-float64(whole))*1e9)).UTC()
		}
	}
	return time.Time{}
}
