package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"
)

// server is what `app serve` was told.
type server struct {
	listen    string
	failAfter time.Duration
	status    int
	body      string
	cert, key string
	deny      string
}

func (s *server) serve() error {
	start := time.Now()
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if s.failAfter > 0 && time.Since(start) > s.failAfter {
			http.Error(w, "deadlock in worker pool", http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	http.HandleFunc("/admit", s.admit)
	host, _ := os.Hostname()
	if s.body == "" {
		s.body = "hello from " + host
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(s.status)
		fmt.Fprintln(w, s.body)
	})
	log.Print("serving on ", s.listen)
	if s.cert != "" {
		return http.ListenAndServeTLS(s.listen, s.cert, s.key, nil)
	}
	return http.ListenAndServe(s.listen, nil)
}

// admit answers as an admission webhook does.
func (s *server) admit(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "admission.k8s.io/v1",
		"kind":       "AdmissionReview",
		"response": map[string]any{
			"uid":     review.Request.UID,
			"allowed": s.deny == "",
			"status":  map[string]any{"code": http.StatusForbidden, "message": s.deny},
		},
	})
}
