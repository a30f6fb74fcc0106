package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yairfalse/tapio/cmd/tapio/lifecycle"
)

func TestStopIsTheListReversed(t *testing.T) {
	p := lifecycle.New()
	var order []string
	for _, name := range []string{"http", "store", "bot"} {
		p.Add(name, func(context.Context) error {
			order = append(order, name)
			if name == "store" {
				return errors.New("disk full")
			}
			return nil
		})
	}
	err := p.Stop(time.Second)
	if !slices.Equal(order, []string{"bot", "store", "http"}) {
		t.Errorf("stopped in the order %v", order)
	}
	if err == nil || err.Error() != "stop store: disk full" {
		t.Errorf("got %v", err)
	}
	if err := p.Stop(time.Second); err != nil || len(order) != 3 {
		t.Errorf("a second stop did something: %v", err)
	}
}

func TestRun(t *testing.T) {
	p := lifecycle.New()
	p.Run("loop", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	p.Run("bot", func(context.Context) error { return errors.New("token refused") })
	if err := <-p.Failed(); err.Error() != "bot: token refused" {
		t.Errorf("got %v", err)
	}
	p.Run("page", func(context.Context) error { panic("oops") })
	if err := <-p.Failed(); !strings.HasPrefix(err.Error(), "page: panic: oops") {
		t.Errorf("got %v", err)
	}
	if err := p.Stop(time.Second); err != nil {
		t.Errorf("told twice, or a cancelled context is no error: %v", err)
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := lifecycle.New()
		free := make(chan struct{})
		storeStopped := false
		p.Add("store", func(context.Context) error { storeStopped = true; return nil })
		p.Run("deaf", func(context.Context) error { <-free; return nil })
		begin := time.Now()
		err := p.Stop(10 * time.Second)
		if err == nil || err.Error() != "stop deaf: did not stop in time" {
			t.Errorf("got %v", err)
		}
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("waited %s", d)
		}
		if !storeStopped {
			t.Error("a part that hangs kept the store open")
		}
		close(free)
	})
}
