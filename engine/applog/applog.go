// Package applog reads the end of an application's log and says which errors
// it holds: what kind of error, against whom, how often and until when.
//
// [Read] knows how the common database, cache, broker, HTTP and gRPC clients
// and the common runtimes word their errors, in plain lines, logfmt, JSON and
// stack traces. It is a pure function of its text. It judges nothing: whether
// an error explains a failure, and which Service a host name means, is for the
// engine to say. Secrets must have been hidden in the text before.
package applog

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Class is the kind of an error, as a word that a story can print.
type Class string

// The classes. The first group is about a peer, the second about the
// container's own surroundings, the third about the program.
const (
	Refused      Class = "refused"        // nothing listens there
	Reset        Class = "reset"          // the peer dropped the connection
	TimedOut     Class = "timed_out"      // no answer in time
	NoRoute      Class = "no_route"       // the network knows no way there
	Unavailable  Class = "unavailable"    // the peer, or what stands before it, says that nobody serves
	NameNotFound Class = "name_not_found" // the name does not resolve
	NameTimedOut Class = "name_timed_out" // the DNS server did not answer, or failed
	AuthFailed   Class = "auth_failed"    // the peer refuses the credential
	Exhausted    Class = "exhausted"      // the peer or the pool has no connection left
	ReadOnly     Class = "read_only_database"
	CertExpired  Class = "cert_expired"
	TLS          Class = "tls"      // a certificate is not trusted or not for this name
	Protocol     Class = "protocol" // the peer speaks something else: plain text for TLS, HTTP/1 for HTTP/2
	NoDatabase   Class = "database_missing"
	Forbidden    Class = "rbac_forbidden" // the API server refuses the service account

	AddressInUse       Class = "address_in_use"
	PermissionDenied   Class = "permission_denied" // of a file or folder
	ReadOnlyFilesystem Class = "read_only_filesystem"
	DiskFull           Class = "disk_full"

	OutOfMemory    Class = "out_of_memory" // of the runtime's own heap
	StackOverflow  Class = "stack_overflow"
	MissingModule  Class = "missing_module"  // a module, class, library or program file
	MissingFile    Class = "missing_file"    // a data or configuration file
	MissingSetting Class = "missing_setting" // a required environment variable or setting
	BadSetting     Class = "invalid_setting" // a setting, flag or configuration file that can't be read
	Panic          Class = "panic"           // a fault or an exception that nobody caught
)

// Error is one kind of error against one thing, as often as the log says it.
// What is not known is empty.
type Error struct {
	Class Class
	// Host and Port are the peer's, as the log names it; User and Database what
	// the client asked it for. Of a name that does not resolve, Host is the name.
	Host, Port, User, Database string
	System                     string // what kind of peer it is: "MySQL"
	Path                       string // file or folder
	Name                       string // missing module, setting, file or database
	// Verb, Resource and Account are of a refusal by the API server; Resource
	// has its group behind a dot, Account is namespace/name of the service account.
	Verb, Resource, Account string

	Line   string    // the line that says it last, bounded
	Count  int       // how many records say it
	Fatal  bool      // a record said that the program ends for it
	After  int       // records that follow the last one
	First  time.Time // of the records that carry a time; zero where none does
	Last   time.Time
	Mended bool // a later record says that it connected, started or recovered
	level  level
}

// Report is what a log says.
type Report struct {
	Errors  []Error // most decisive first
	Records int
	Newest  time.Time // of the last record that carries a time
	Oldest  time.Time // of the first
}

// Bounds of one log.
const (
	maxText   = 64 << 10 // bytes that are read, from the end
	maxErrors = 8        // kinds of errors that are reported
	maxLine   = 400      // bytes of Error.Line
	nearEnd   = 12       // records from the end within which errors compare by their number
)

// Read returns the errors in the end of a log.
func Read(text string) Report {
	if len(text) > maxText {
		text = text[len(text)-maxText:]
	}
	records := split(text)
	out := Report{Records: len(records)}
	byKey := map[key]int{}
	judged := map[string]Error{}
	var errors []Error
	last := map[int]int{} // index in errors → record that says it last
	for i := range records {
		r := &records[i]
		if !r.time.IsZero() {
			if out.Oldest.IsZero() {
				out.Oldest = r.time
			}
			out.Newest = r.time
		}
		said := string(rune('0'+r.level)) + strings.Join(r.lines, "\n")
		e, ok := judged[said] // programs repeat themselves
		if !ok {
			e = r.classify()
			judged[said] = e
		}
		if e.Class == "" {
			continue
		}
		e.level = r.level
		k := keyOf(&e)
		at, known := byKey[k]
		if !known {
			at = len(errors)
			byKey[k] = at
			errors = append(errors, Error{})
		}
		merge(&errors[at], e, r)
		last[at] = i
	}
	for at := range errors {
		errors[at].After = len(records) - 1 - last[at]
		errors[at].Mended = mended(records[last[at]+1:])
	}
	errors = fold(errors)
	slices.SortStableFunc(errors, compare)
	if len(errors) > maxErrors {
		errors = errors[:maxErrors]
	}
	out.Errors = errors
	return out
}

// key is what makes two errors the same one.
type key struct {
	class                                        Class
	host, port, user, path, name, verb, resource string
}

func keyOf(e *Error) key {
	k := key{e.Class, e.Host, e.Port, e.User, e.Path, e.Name, e.Verb, e.Resource}
	if e.Class == Panic {
		k.name = "" // each of a program's faults may be worded anew
	}
	return k
}

// merge adds one record's error to what is known of the same error.
func merge(into *Error, e Error, r *record) {
	count, first, fatal, lvl := into.Count, into.First, into.Fatal, into.level
	*into = e
	into.Count = count + 1
	into.Fatal = fatal || e.Fatal
	into.level = max(lvl, e.level)
	into.First, into.Last = first, r.time
	if first.IsZero() {
		into.First = r.time
	}
}

// fold adds errors that name no peer to the newest of their class that does.
func fold(errors []Error) []Error {
	var out []Error
	for i := range errors {
		e := &errors[i]
		if !e.Class.OfPeer() || e.Host != "" {
			out = append(out, *e)
			continue
		}
		best := -1
		for j := range errors {
			if o := &errors[j]; o.Class == e.Class && o.Host != "" && (best < 0 || o.After < errors[best].After) {
				best = j
			}
		}
		if best < 0 {
			out = append(out, *e)
		}
	}
	for i := range errors {
		e := &errors[i]
		if !e.Class.OfPeer() || e.Host != "" {
			continue
		}
		for j := range out {
			if o := &out[j]; o.Class == e.Class && o.Host != "" {
				o.Count += e.Count
				o.Fatal = o.Fatal || e.Fatal
				break
			}
		}
	}
	return out
}

// OfPeer reports whether errors of the class are about somebody who is called.
func (c Class) OfPeer() bool {
	switch c {
	case Refused, Reset, TimedOut, NoRoute, Unavailable, NameNotFound, NameTimedOut, AuthFailed, Exhausted, ReadOnly, CertExpired, TLS, Protocol:
		return true
	}
	return false
}

// compare orders errors: what ends the program first, then by how loud the log
// says it; near the end by how often, otherwise by how late.
func compare(a, b Error) int {
	if a.Fatal != b.Fatal {
		if a.Fatal {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(b.level, a.level); c != 0 && (a.After > nearEnd) == (b.After > nearEnd) {
		return c
	}
	if a.After <= nearEnd && b.After <= nearEnd {
		if c := cmp.Compare(b.Count, a.Count); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.After, b.After)
}

// mended reports whether one of the records says that things are well again.
func mended(records []record) bool {
	for i := range records {
		if records[i].recovers() {
			return true
		}
	}
	return false
}
