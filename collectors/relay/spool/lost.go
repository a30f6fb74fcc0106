package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/yairfalse/tapio"
	bolt "go.etcd.io/bbolt"
)

// lost is what was dropped of one source and not told yet.
type lost struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Dropped int       `json:"dropped"`
	Reason  string    `json:"reason"`
}

// tellLost turns what was dropped into gaps at the end of the buffer.
func (s *Spool) tellLost() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	var gone map[tapio.Source]*lost
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		gone, err = readLost(tx.Bucket(meta))
		return err
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	var gaps []tapio.Observation
	for _, source := range slices.Sorted(maps.Keys(gone)) {
		l := gone[source]
		gaps = append(gaps, tapio.Observation{Time: utc(time.Now()), Gap: &tapio.Gap{
			Source: source, Resource: "node " + s.opts.Node, From: l.From, To: l.To, Reason: l.Reason, Dropped: l.Dropped,
		}})
	}
	var added int
	var grown int64
	var number uint64
	err = s.db.Update(func(tx *bolt.Tx) error {
		list, facts := tx.Bucket(entries), tx.Bucket(meta)
		number = list.Sequence() + 1
		for i := range gaps {
			data, err := json.Marshal(&gaps[i])
			if err != nil {
				return err
			}
			if err := list.Put(key(number), data); err != nil {
				return err
			}
			number, added, grown = number+1, added+1, grown+int64(len(data))
		}
		return errors.Join(list.SetSequence(number-1), facts.Delete([]byte("lost")))
	})
	if err != nil {
		return fmt.Errorf("write gaps: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count, s.bytes, s.next = s.count+added, s.bytes+grown, number
	return nil
}

func (s *Spool) miss(source tapio.Source, from time.Time, n int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missLocked(source, from, n, reason)
}

func (s *Spool) missLocked(source tapio.Source, from time.Time, n int, reason string) {
	join(s.missed, source, lost{From: from, To: utc(time.Now()), Dropped: n, Reason: reason})
	s.dropped += uint64(n)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func join(all map[tapio.Source]*lost, source tapio.Source, l lost) {
	had := all[source]
	if had == nil {
		all[source] = &l
		return
	}
	if l.From.Before(had.From) {
		had.From = l.From
	}
	if l.To.After(had.To) {
		had.To = l.To
	}
	had.Dropped += l.Dropped
	had.Reason = l.Reason
}

func readLost(facts *bolt.Bucket) (map[tapio.Source]*lost, error) {
	all := map[tapio.Source]*lost{}
	data := facts.Get([]byte("lost"))
	if data == nil {
		return all, nil
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("read what was dropped: %w", err)
	}
	return all, nil
}

func writeLost(facts *bolt.Bucket, all map[tapio.Source]*lost) error {
	if len(all) == 0 {
		return nil
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return facts.Put([]byte("lost"), data)
}

// source is the sense that the observation comes from.
func source(o *tapio.Observation) tapio.Source {
	switch {
	case o.Event != nil:
		return o.Event.Source
	case o.Gap != nil:
		return o.Gap.Source
	}
	return tapio.SourceAgent
}
