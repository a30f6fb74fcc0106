package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// What Badger 4 writes into the log of a memtable: a header of 20 bytes, then
// entries of two bytes of marks, the lengths of key and value and an expiry as
// varints, key, value and a CRC-32C, and zeros up to the size the file was made
// with. A transaction's entries carry logInTxn; one with logEndTxn ends it.
const (
	logHeader = 20
	logInTxn  = 1 << 6
	logEndTxn = 1 << 7
	logTxnKey = "!badger!txn"
)

// scanLog finds where Badger will cut a memtable's log: behind the last whole
// transaction, end. problem says what is lost by that; it is empty where
// nothing that was acknowledged is, which includes a write that a kill cut
// short. An end of -1 is a file that Badger can't open at all. full is the size
// that the file was made with.
func scanLog(data []byte, full int) (end int, problem string) {
	if len(data) < logHeader {
		return -1, fmt.Sprintf("is cut off after %d bytes; the last writes are lost, unless it is the trace of a kill while the file was being removed", len(data))
	}
	if binary.BigEndian.Uint64(data) != 0 {
		return -1, "has wrong contents; the last writes are lost"
	}
	if bytes.Count(data[:logHeader], []byte{0}) == logHeader {
		return -1, "holds only zeros; the last writes are lost"
	}
	end = logHeader
	at, inTxn := end, false
	for {
		mark, next, ok := logEntry(data, at)
		if !ok {
			break
		}
		at = next
		switch {
		case mark&logInTxn != 0:
			inTxn = true
		case mark&logEndTxn != 0, !inTxn:
			inTxn = false
			end = at
		}
	}
	rest := bytes.TrimRight(data[end:], "\x00")
	// A transaction that was ended behind the first entry that can't be read
	// was acknowledged.
	if n := bytes.Count(rest, []byte(logTxnKey)); n > 0 {
		return end, fmt.Sprintf("has an entry that can't be read at byte %d; it and %d write(s) from there on are lost", at, n)
	}
	if len(rest) > 0 && len(data) < full {
		return end, fmt.Sprintf("is cut off after %d bytes; the last write(s) in it are lost", len(data))
	}
	return end, ""
}

// logEntry reads one entry's mark and returns where the next one starts. It
// reports false where there is none or its checksum is wrong.
func logEntry(data []byte, at int) (mark byte, next int, ok bool) {
	if at+2 > len(data) {
		return 0, 0, false
	}
	i := at + 2
	var lengths [3]uint64
	for j := range lengths {
		v, n := binary.Uvarint(data[i:])
		if n <= 0 {
			return 0, 0, false
		}
		lengths[j] = v
		i += n
	}
	key, value := lengths[0], lengths[1]
	left := uint64(len(data) - i)
	if key == 0 || key > left || value > left-key || left-key-value < crc32.Size {
		return 0, 0, false
	}
	sum := i + int(key+value)
	if crc32.Checksum(data[at:sum], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(data[sum:]) {
		return 0, 0, false
	}
	return data[at], sum + crc32.Size, true
}
