package relay

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// pair is a certificate with its key, read again when its file changes: a
// renewed certificate needs no restart.
type pair struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	at     time.Time // modification time of what is loaded
}

func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := os.Stat(p.cert)
	if err == nil && p.loaded != nil && info.ModTime().Equal(p.at) {
		return p.loaded, nil
	}
	if err == nil {
		var loaded tls.Certificate
		if loaded, err = tls.LoadX509KeyPair(p.cert, p.key); err == nil {
			p.loaded, p.at = &loaded, info.ModTime()
			return p.loaded, nil
		}
	}
	if p.loaded != nil {
		return p.loaded, nil // half a renewal: the next connection finds it whole
	}
	return nil, fmt.Errorf("read the relay's certificate: %w", err)
}
