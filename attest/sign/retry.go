package sign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Retry bounds how a request is tried again after a connection error, 429 or 5xx.
type Retry struct {
	Attempts int           // in all; zero is 5, negative is 1
	MaxDelay time.Duration // of one pause; zero is 10 seconds. A Retry-After above it ends the tries
	Timeout  time.Duration // of one attempt; zero is 30 seconds
}

func (r Retry) withDefaults() Retry {
	if r.Attempts == 0 {
		r.Attempts = 5
	}
	r.Attempts = max(r.Attempts, 1)
	if r.MaxDelay <= 0 {
		r.MaxDelay = 10 * time.Second
	}
	if r.Timeout <= 0 {
		r.Timeout = 30 * time.Second
	}
	return r
}

const (
	firstDelay  = 200 * time.Millisecond // doubles with each try, with full jitter
	maxResponse = 48 << 20               // bytes of a response: an entry repeats the payload
	maxQuoted   = 300                    // bytes of a response that an error quotes
)

// A ServiceError is what a service answered, or that it did not.
type ServiceError struct {
	Service string // "Fulcio", "Rekor v1", "Rekor v2" or "timestamp authority"
	URL     string
	Status  int    // of HTTP; 0 when there was no answer
	Body    string // the beginning of the answer, made printable
	Tries   int    // how often it was asked
	Err     error  // the cause, or nil
}

func (e *ServiceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Service, e.URL)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Body != "" {
		fmt.Fprintf(&b, ": %s", e.Body)
	}
	if e.Tries > 1 {
		fmt.Fprintf(&b, " (%d tries)", e.Tries)
	}
	if hint := e.hint(); hint != "" {
		b.WriteString(": " + hint)
	}
	return b.String()
}

func (e *ServiceError) hint() string {
	switch {
	case e.Service == "Fulcio" && (e.Status == 401 || e.Status == 403):
		return "the identity token was refused: it must be fresh, for the audience sigstore, by an issuer that this Fulcio accepts"
	case e.Status >= 300 && e.Status < 400:
		return "redirects are not followed: configure the address that it points to"
	case e.Status == 404:
		return "is this the base URL of the service?"
	case e.Status == 413:
		return "too large for this log: use another one, or a smaller predicate"
	case e.Retryable():
		return "try again later"
	}
	return ""
}

// Unwrap returns the cause.
func (e *ServiceError) Unwrap() error { return e.Err }

// Retryable reports whether the same request may succeed later.
func (e *ServiceError) Retryable() bool {
	return e.Status == http.StatusTooManyRequests || e.Status >= 500 ||
		e.Status == 0 && e.Err != nil && !errors.Is(e.Err, context.Canceled) && !errors.Is(e.Err, errInvalid)
}

// errInvalid marks an answer that is not what was asked for.
var errInvalid = errors.New("invalid answer")

// A caller carries the requests of one signature to one service: it binds them
// to the caller's context, tries again, and gives whole answers or an error.
type caller struct {
	ctx     context.Context
	service string
	cfg     *Config
	wait    func(context.Context, time.Duration) error
	passes  []int // statuses above 299 that are answers
}

func (s *Signer) caller(ctx context.Context, service string, passes ...int) *caller {
	return &caller{ctx, service, &s.cfg, s.wait, passes}
}

// RoundTrip implements http.RoundTripper. The response's body is complete.
func (c *caller) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	failed := &ServiceError{Service: c.service, URL: publicURL(req.URL)}
	for failed.Tries = 1; ; failed.Tries++ {
		resp, err := c.once(req, body)
		failed.Status, failed.Body, failed.Err = 0, "", err
		var after time.Duration
		if err == nil {
			if resp.StatusCode < 300 || c.passes != nil && contains(c.passes, resp.StatusCode) {
				return resp, nil
			}
			failed.Status = resp.StatusCode
			failed.Body = printable(resp, secrets(req, body))
			after = retryAfter(resp, c.cfg.Now)
		}
		if c.ctx.Err() != nil {
			failed.Err = c.ctx.Err()
			return nil, failed
		}
		if !failed.Retryable() || failed.Tries >= c.cfg.Retry.Attempts || after > c.cfg.Retry.MaxDelay {
			return nil, failed
		}
		if after == 0 {
			after = rand.N(min(firstDelay<<min(failed.Tries-1, 16), c.cfg.Retry.MaxDelay)) + time.Millisecond
		}
		if err := c.wait(c.ctx, after); err != nil {
			failed.Err = err
			return nil, failed
		}
	}
}

func (c *caller) once(req *http.Request, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Retry.Timeout)
	defer cancel()
	r := req.Clone(ctx)
	r.Body, r.GetBody = http.NoBody, nil
	if body != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	resp, err := c.cfg.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return nil, fmt.Errorf("answer cut off: %w", err)
	}
	if len(data) > maxResponse {
		return nil, fmt.Errorf("%w of more than %d bytes", errInvalid, maxResponse)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	resp.Request = req
	return resp, nil
}

func contains(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// publicURL leaves out what may be secret in a URL.
func publicURL(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// secrets are the texts of a request that no error may repeat: the token in its
// header or body, and the parts of it.
func secrets(req *http.Request, body []byte) []string {
	_, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	var inBody struct {
		Credentials struct {
			OIDCIdentityToken string `json:"oidcIdentityToken"`
		} `json:"credentials"`
	}
	_ = json.Unmarshal(body, &inBody) // other requests have none
	var out []string
	for _, t := range []string{token, inBody.Credentials.OIDCIdentityToken} {
		for _, part := range append([]string{t}, strings.Split(t, ".")...) {
			if len(part) >= 8 {
				out = append(out, part, "[token]")
			}
		}
	}
	return out
}

// printable is the beginning of an answer without what it may repeat of the
// request's secrets.
func printable(resp *http.Response, hide []string) string {
	data, _ := io.ReadAll(resp.Body) // read already, and limited
	text := strings.NewReplacer(hide...).Replace(string(data))
	text = strings.ToValidUTF8(strings.TrimSpace(text[:min(len(text), maxQuoted)]), "?")
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// retryAfter reads the header of RFC 9110, section 10.2.3: seconds, or a date if
// there is a clock to compare it with.
func retryAfter(resp *http.Response, now func() time.Time) time.Duration {
	v := resp.Header.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return time.Duration(min(n, 1<<20)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil && now != nil {
		return max(t.Sub(now()), time.Millisecond)
	}
	return 0
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
