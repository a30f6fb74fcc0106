// Package store is Tapio's memory: the journal of story revisions, the indexes
// that find a story again, and the small ledger in which the bot writes down
// what it said. It keeps them in one folder on disk, in Badger.
//
// # Promises
//
// What [Store.Append] and [Store.Write] return without an error is on disk, all
// of it or nothing, and is there after a kill or a power cut. Revisions are
// numbered by Seq in the order in which they were committed, by one writer at a
// time: a reader that follows the journal with its last Seq never misses a
// revision that was committed later under a lower number. A Seq is never given
// twice. Appending a revision again changes nothing and gives back its first
// Seq, so a writer that is not sure whether it succeeded appends again.
//
// Nothing is dropped silently. A folder that can't be trusted is not opened; the
// error says which file is damaged and how to go on. A damaged record in a
// healthy folder is skipped, logged and listed by [Store.Damage]. A story too
// large to keep whole is cut and says so itself (see [Store.Append]). The store
// never deletes a damaged file: it is copied or renamed beside the good ones
// (*.set-aside) until its content would be past retention anyway. What can't be seen from
// inside is a loss that leaves a consistent older state, such as a folder put
// back from an old copy.
//
// The store does not judge, word or route stories and knows nothing of Slack.
//
// # Key layout
//
// The first byte of a key names its space. Numbers are big-endian and 8 bytes
// long, so that keys sort by them; 0 stands for a zero byte. Names never contain
// a zero byte.
//
//	j SEQ                    the journal: revision record, in order of Seq
//	s ID                     head record: the newest revision of the story
//	h ID 0 REVISION          history: the Seq of that revision
//	t ^UPDATED ID            stories by the time of their newest revision, newest first
//	p NAME 0 NAMESPACE 0 ID  stories by affected pod
//	w NAME 0 NAMESPACE 0 ID  stories by affected workload
//	n NAMESPACE 0 ID         stories by namespace
//	c CAUSE 0 ID             stories by cause
//	l KEY                    the ledger: the caller's keys and values, apart from all else
//	m format                 format record: newest record version here, and who wrote it
//	m seq                    the Seq given last; journal rows above it were never committed
//	m rows                   how many journal rows there are, to notice when some are lost
//
// UPDATED is the time in nanoseconds since 1970, inverted. The rows of t, p, w, n
// and c have no value. They describe the newest revision of a story only. A
// reader checks the story itself before it answers, so a row that has outlived
// its reason costs time and never a wrong answer.
//
// A revision record is one byte of version, 1, and then the story as JSON (the
// published names), compressed with DEFLATE. A head record is one byte of
// version, 1, and JSON. The format record is JSON in every version. A folder
// with newer records is refused with the version of the Tapio that wrote it.
//
// # One append
//
// An append is one Badger transaction. Where it is too large for one, journal
// rows and new index rows go first, in as many transactions as they need, above
// the Seq that "m seq" holds and so visible to nobody; the next transaction
// writes heads, history and "m seq" and makes all of it visible at once; index
// rows that have outlived their reason go last. Opening the store removes the
// journal rows that an append cut short has left, and the next sweep its index
// rows.
package store
