package sign_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/attest/sign"
	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
)

func statement(t testing.TB, content string) *attest.Statement {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	d, err := attest.NewDigest(attest.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	st, err := attest.New([]attest.Subject{{Name: "app", Digest: attest.Set(d)}}, attest.Raw{Type: "https://example.com/p", JSON: []byte(`{"a":1.0}`)})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func token(s *sigstoretest.Sigstore) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s.Token(sigstoretest.GitHub{}.Claims()) }
}

func TestKeyless(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{RekorV1: 2, RekorV2: 2, TSAs: 2})
	v1, v2, tsa := s.RekorV1URLs(), s.RekorV2URLs(), s.TSAURLs()
	for name, tt := range map[string]struct{ v1, v2, tsa []string }{
		"rekor v1":          {v1[:1], nil, nil},
		"rekor v1 and tsa":  {v1[:1], nil, tsa[:1]},
		"rekor v2 and tsa":  {nil, v2[:1], tsa[:1]},
		"tsa alone":         {nil, nil, tsa[:1]},
		"everything, twice": {v1, v2, tsa},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := sign.New(sign.Config{Token: token(s), Fulcio: s.FulcioURL(), RekorV1: tt.v1, RekorV2: tt.v2, TSA: tt.tsa, TrustedRoot: s.TrustedRoot()})
			if err != nil {
				t.Fatal(err)
			}
			st := statement(t, "x")
			b, err := signer.Sign(context.Background(), st)
			if err != nil {
				t.Fatal(err)
			}
			u, err := b.Unverified()
			if err != nil || !bytes.Equal(u.Payload, st.Bytes()) || len(u.LogEntries) != len(tt.v1)+len(tt.v2) || u.Timestamps != len(tt.tsa) || u.Certificate == nil || b.Version() != "0.3" {
				t.Fatalf("got %+v, %v", u, err)
			}
			if bytes.Contains(b.Bytes(), []byte(": ")) {
				t.Error("the bundle has white space, which varies")
			}
			sum := sha256.Sum256([]byte("artifact"))
			d, _ := attest.NewDigest(attest.SHA256, sum[:])
			m, err := signer.SignDigest(context.Background(), d)
			if err != nil {
				t.Fatal(err)
			}
			if u, err := m.Unverified(); err != nil || u.MessageDigest != d.String() {
				t.Fatalf("got %+v, %v", u, err)
			}
		})
	}
}

func TestWithKey(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	for _, alg := range []key.Algorithm{key.ECDSAP256, key.ECDSAP384, key.ECDSAP521, key.Ed25519, key.RSA3072} {
		k, err := key.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		for name, cfg := range map[string]sign.Config{
			"no service": {},
			"rekor v1":   {RekorV1: s.RekorV1URLs(), TrustedRoot: s.TrustedRoot()},
			"rekor v2":   {RekorV2: s.RekorV2URLs(), TrustedRoot: s.TrustedRoot()},
			"tsa":        {TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot()},
			"all":        {RekorV1: s.RekorV1URLs(), RekorV2: s.RekorV2URLs(), TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot()},
		} {
			t.Run(fmt.Sprintf("%s/%s", alg, name), func(t *testing.T) {
				cfg.Key = k
				signer, err := sign.New(cfg)
				if alg == key.Ed25519 && len(cfg.RekorV2) > 0 {
					if err == nil || !strings.Contains(err.Error(), "Rekor v2") {
						t.Fatalf("got %v, want a refusal", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				b, err := signer.Sign(context.Background(), statement(t, name))
				if len(cfg.RekorV1) > 0 && (alg == key.ECDSAP384 || alg == key.ECDSAP521) {
					if err == nil || !strings.Contains(err.Error(), "P-256 key") {
						t.Fatalf("got %v, want a refusal", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if u, _ := b.Unverified(); u.KeyHint != k.PublicKey().Hint() || u.Certificate != nil {
					t.Errorf("got hint %q, want %q", u.KeyHint, k.PublicKey().Hint())
				}
				sum := sha512.Sum384([]byte("artifact"))
				d, _ := attest.NewDigest(attest.SHA384, sum[:])
				if _, err = signer.SignDigest(context.Background(), d); (err == nil) != (alg == key.ECDSAP384) {
					t.Errorf("signing a sha384 digest: %v", err)
				}
			})
		}
	}
}

func TestSigningConfig(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{TSAs: 2})
	signer, err := sign.New(sign.Config{Token: token(s), SigningConfig: s.SigningConfig(), Now: time.Now, TrustedRoot: s.TrustedRoot()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := signer.Sign(context.Background(), statement(t, "x"))
	if err != nil {
		t.Fatal(err)
	}
	if u, _ := b.Unverified(); len(u.LogEntries) != 1 || u.LogEntries[0].Version != "0.0.2" || u.Timestamps != 2 {
		t.Fatalf("got %+v, want the highest API version and both authorities", u)
	}
}

func TestRefusedConfigs(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	k, err := key.Generate(key.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now
	for name, tt := range map[string]struct {
		cfg  sign.Config
		want string
	}{
		"zero":                    {sign.Config{}, "exactly one of Key and Token"},
		"key and token":           {sign.Config{Key: k, Token: token(s)}, "exactly one of Key and Token"},
		"no fulcio":               {sign.Config{Token: token(s), TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot()}, "Fulcio"},
		"no time":                 {sign.Config{Token: token(s), Fulcio: s.FulcioURL(), TrustedRoot: s.TrustedRoot()}, "proven time"},
		"rekor v2 gives no time":  {sign.Config{Token: token(s), Fulcio: s.FulcioURL(), RekorV2: s.RekorV2URLs(), TrustedRoot: s.TrustedRoot()}, "proven time"},
		"no trusted root":         {sign.Config{Key: k, TSA: s.TSAURLs()}, "TrustedRoot"},
		"key with fulcio":         {sign.Config{Key: k, Fulcio: s.FulcioURL()}, "has a key"},
		"broken root":             {sign.Config{Key: k, TSA: s.TSAURLs(), TrustedRoot: []byte("{")}, "trusted root"},
		"broken signing config":   {sign.Config{Key: k, SigningConfig: []byte("{}"), Now: now}, "signing config"},
		"config without clock":    {sign.Config{Key: k, SigningConfig: s.SigningConfig()}, "needs Now"},
		"config and URLs":         {sign.Config{Key: k, SigningConfig: s.SigningConfig(), TSA: s.TSAURLs(), Now: now}, "beside URLs"},
		"config of another time":  {sign.Config{Key: k, SigningConfig: s.SigningConfig(), Now: func() time.Time { return time.Unix(0, 0) }}, "no matching services"},
		"relative URL":            {sign.Config{Key: k, TSA: []string{"/timestamp"}, TrustedRoot: s.TrustedRoot()}, "service URL"},
		"URL with a password":     {sign.Config{Key: k, TSA: []string{"https://u:secret@tsa.example"}, TrustedRoot: s.TrustedRoot()}, "user-info"},
		"URL of an unknown shape": {sign.Config{Key: k, TSA: []string{"file:///etc/passwd"}, TrustedRoot: s.TrustedRoot()}, "service URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sign.New(tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Error("the error tells a secret")
			}
		})
	}
	var zero sign.Signer
	if _, err := zero.Sign(context.Background(), statement(t, "x")); err == nil {
		t.Error("the zero Signer signed")
	}
}

// transport answers some requests itself.
type transport func(n int32, req *http.Request) (*http.Response, error)

type counted struct {
	n int32
	f transport
}

func (c *counted) RoundTrip(req *http.Request) (*http.Response, error) {
	if resp, err := c.f(atomic.AddInt32(&c.n, 1), req); resp != nil || err != nil {
		return resp, err
	}
	return http.DefaultTransport.RoundTrip(req)
}

func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

func TestFaults(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	other := sigstoretest.New(t, sigstoretest.Options{})
	// once answers the first request to a service otherwise.
	once := func(service string, f func() (*http.Response, error)) transport {
		var done atomic.Bool
		return func(_ int32, req *http.Request) (*http.Response, error) {
			if strings.Contains(req.URL.Path, service) && done.CompareAndSwap(false, true) {
				return f()
			}
			return nil, nil
		}
	}
	always := func(service string, f func() (*http.Response, error)) transport {
		return func(_ int32, req *http.Request) (*http.Response, error) {
			if strings.Contains(req.URL.Path, service) {
				return f()
			}
			return nil, nil
		}
	}
	swap := func(service, url string) transport {
		return func(_ int32, req *http.Request) (*http.Response, error) {
			if !strings.Contains(req.URL.Path, service) {
				return nil, nil
			}
			r := req.Clone(req.Context())
			r.URL.Host, r.Host = strings.TrimPrefix(url, "http://"), ""
			return http.DefaultTransport.RoundTrip(r)
		}
	}
	// The other instance must accept the token, so it has the same issuer key.
	sameKeys := sigstoretest.New(t, sigstoretest.Options{Seed: []byte("same")})

	replayed := certificateAnswer(t, s)
	fulcio, rekor1, rekor2, tsa := "signingCert", "/v1/log/entries", "/v2/log/entries", "timestamp"
	for name, tt := range map[string]struct {
		f      transport
		want   string // part of the error; empty: signs in the end
		status int
	}{
		"connection reset, then fine":          {once(fulcio, func() (*http.Response, error) { return nil, syscall.ECONNRESET }), "", 0},
		"429 with Retry-After, then fine":      {once(tsa, func() (*http.Response, error) { return answer(429, "slow down", "Retry-After", "1"), nil }), "", 0},
		"503, then fine":                       {once(rekor1, func() (*http.Response, error) { return answer(503, ""), nil }), "", 0},
		"rekor v2 500, then fine":              {once(rekor2, func() (*http.Response, error) { return answer(500, ""), nil }), "", 0},
		"rekor v2 409, then another signature": {once(rekor2, func() (*http.Response, error) { return answer(409, "exists"), nil }), "", 0},
		"rekor v2 409 for ever":                {always(rekor2, func() (*http.Response, error) { return answer(409, "exists"), nil }), "already", 409},
		"503 for ever":                         {always(tsa, func() (*http.Response, error) { return answer(503, "down\x1b[31m"), nil }), "try again later", 503},
		"Retry-After of an hour":               {always(tsa, func() (*http.Response, error) { return answer(503, "", "Retry-After", "3600"), nil }), "timestamp authority", 503},
		"401 from Fulcio":                      {always(fulcio, func() (*http.Response, error) { return answer(401, "bad token"), nil }), "the identity token was refused", 401},
		"401 that repeats the token": {func(_ int32, req *http.Request) (*http.Response, error) {
			if !strings.Contains(req.URL.Path, fulcio) {
				return nil, nil
			}
			body, _ := io.ReadAll(req.Body)
			return answer(401, req.Header.Get("Authorization")+" "+string(body)), nil
		}, "the identity token was refused", 401},
		"certificate for another key": {func(_ int32, req *http.Request) (*http.Response, error) {
			if !strings.Contains(req.URL.Path, fulcio) {
				return nil, nil
			}
			return answer(200, replayed), nil
		}, "for another key", 0},
		"400 from Rekor":                       {always(rekor1, func() (*http.Response, error) { return answer(400, "no"), nil }), "Rekor v1", 400},
		"404":                                  {always(rekor2, func() (*http.Response, error) { return answer(404, "no"), nil }), "base URL", 404},
		"redirect":                             {always(fulcio, func() (*http.Response, error) { return answer(307, "", "Location", "http://evil.example/"), nil }), "redirects are not followed", 307},
		"Fulcio answers garbage":               {always(fulcio, func() (*http.Response, error) { return answer(200, "<html>"), nil }), "Fulcio", 0},
		"Rekor answers nothing":                {always(rekor1, func() (*http.Response, error) { return answer(201, "{}"), nil }), "Rekor v1", 0},
		"Rekor answers an empty entry":         {always(rekor1, func() (*http.Response, error) { return answer(201, `{"aa":{}}`), nil }), "Rekor v1", 0},
		"Rekor v2 answers another thing":       {always(rekor2, func() (*http.Response, error) { return answer(201, `{"logIndex":"1"}`), nil }), "", -1},
		"TSA answers garbage":                  {always(tsa, func() (*http.Response, error) { return answer(200, "x"), nil }), "timestamp authority", 0},
		"a TSA that the root does not know":    {swap(tsa, strings.TrimSuffix(other.TSAURLs()[0], "/api/v1/timestamp")), "does not verify", -2},
		"a log that the root does not know":    {swap(rekor1, other.RekorV1URLs()[0]), "does not verify", -2},
		"a v2 log that the root does not know": {swap(rekor2, other.RekorV2URLs()[0]), "does not verify", -2},
		"a Fulcio that accepts no such token":  {swap(fulcio, sameKeys.FulcioURL()), "401", 401},
		"an answer cut in half, then a full one": {once(rekor1, func() (*http.Response, error) {
			r := answer(201, "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"aa":`), failing{}))
			return r, nil
		}), "", 0},
		"an answer cut in half, always": {always(rekor1, func() (*http.Response, error) {
			r := answer(201, "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"aa":`), failing{}))
			return r, nil
		}), "cut off", 0},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := sign.New(sign.Config{Token: token(s), Fulcio: s.FulcioURL(), RekorV1: s.RekorV1URLs(), RekorV2: s.RekorV2URLs(),
				TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot(), Transport: &counted{f: tt.f}, Retry: sign.Retry{Attempts: 3, MaxDelay: 2 * time.Second}})
			if err != nil {
				t.Fatal(err)
			}
			sign.NoPauses(signer)
			b, err := signer.Sign(context.Background(), statement(t, "x"))
			if tt.want == "" && tt.status == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || b != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v and bundle %v, want an error with %q", err, b != nil, tt.want)
			}
			if strings.Contains(err.Error(), "eyJ") || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("the error tells a token or has control characters: %q", err)
			}
			var se *sign.ServiceError
			if tt.status > 0 && (!errors.As(err, &se) || se.Status != tt.status) {
				t.Errorf("got %#v, want status %d", se, tt.status)
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestCancelled(t *testing.T) {
	block := make(chan struct{})
	s := sigstoretest.New(t, sigstoretest.Options{Wrap: func(service string, next http.Handler) http.Handler {
		if service != "tsa" {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-block:
			case <-r.Context().Done():
			}
		})
	}})
	defer close(block)
	signer, err := sign.New(sign.Config{Token: token(s), Fulcio: s.FulcioURL(), TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = signer.Sign(ctx, statement(t, "x"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the context's error", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("returned after %s", d)
	}
}

func TestWrongCertificate(t *testing.T) {
	// Fulcio certifies another key than the one that asks.
	var first atomic.Value
	s := sigstoretest.New(t, sigstoretest.Options{Wrap: func(service string, next http.Handler) http.Handler {
		if service != "fulcio" {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if old, ok := first.Load().([]byte); ok {
				w.Write(old)
				return
			}
			rec := &recorder{ResponseWriter: w}
			next.ServeHTTP(rec, r)
			first.Store(rec.body)
		})
	}})
	signer, err := sign.New(sign.Config{Token: token(s), Fulcio: s.FulcioURL(), TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(context.Background(), statement(t, "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(context.Background(), statement(t, "x")); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Fatalf("got %v, want a refusal", err)
	}
}

type recorder struct {
	http.ResponseWriter
	body []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return r.ResponseWriter.Write(p)
}

func TestRekorV1Conflict(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	k, err := key.Generate(key.RSA3072) // signs the same with the same
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.New(sign.Config{Key: k, RekorV1: s.RekorV1URLs(), TrustedRoot: s.TrustedRoot()})
	if err != nil {
		t.Fatal(err)
	}
	a, err := signer.Sign(context.Background(), statement(t, "x"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := signer.Sign(context.Background(), statement(t, "x"))
	if err != nil {
		t.Fatal(err)
	}
	ua, _ := a.Unverified()
	ub, _ := b.Unverified()
	if ua.LogEntries[0].Index != ub.LogEntries[0].Index {
		t.Errorf("the entry was logged twice: %d and %d", ua.LogEntries[0].Index, ub.LogEntries[0].Index)
	}
}

func Example() {
	sigstore, err := sigstoretest.Start(sigstoretest.Options{})
	if err != nil {
		panic(err)
	}
	defer sigstore.Close()

	digest, _ := attest.ParseDigest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	statement, err := attest.New([]attest.Subject{{Name: "empty.txt", Digest: attest.Set(digest)}},
		attest.Raw{Type: "https://example.com/review/v1", JSON: []byte(`{"approved":true}`)})
	if err != nil {
		panic(err)
	}
	signer, err := sign.New(sign.Config{
		Token: func(context.Context) (string, error) {
			return sigstore.Token(sigstoretest.GitHub{Repo: "acme/app"}.Claims())
		},
		Fulcio:      sigstore.FulcioURL(),
		RekorV2:     sigstore.RekorV2URLs(),
		TSA:         sigstore.TSAURLs(),
		TrustedRoot: sigstore.TrustedRoot(),
	})
	if err != nil {
		panic(err)
	}
	b, err := signer.Sign(context.Background(), statement)
	if err != nil {
		panic(err)
	}
	says, _ := b.Unverified()
	fmt.Println("bundle v" + b.Version())
	fmt.Println(says.Certificate.URIs[0])
	fmt.Println(len(says.LogEntries), "log entry,", says.Timestamps, "timestamp")
	// Output:
	// bundle v0.3
	// https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main
	// 1 log entry, 1 timestamp
}

// certificateAnswer is what Fulcio answered to somebody else.
func certificateAnswer(t *testing.T, s *sigstoretest.Sigstore) string {
	t.Helper()
	var got []byte
	signer, err := sign.New(sign.Config{Token: token(s), Fulcio: s.FulcioURL(), RekorV1: s.RekorV1URLs(), TrustedRoot: s.TrustedRoot(),
		Transport: &counted{f: func(_ int32, req *http.Request) (*http.Response, error) {
			if !strings.Contains(req.URL.Path, "signingCert") {
				return nil, nil
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			defer resp.Body.Close()
			if got, err = io.ReadAll(resp.Body); err != nil {
				return nil, err
			}
			return answer(resp.StatusCode, string(got)), nil
		}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(context.Background(), statement(t, "x")); err != nil {
		t.Fatal(err)
	}
	return string(got)
}

type plainTransport struct{}

func (plainTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("not asked")
}

// TestOrdinaryPrograms: one that has replaced the standard transport, one whose
// key is nil, one whose token is no JWT, one whose device fails.
func TestOrdinaryPrograms(t *testing.T) {
	s := sigstoretest.New(t, sigstoretest.Options{})
	real := http.DefaultTransport
	http.DefaultTransport = plainTransport{}
	_, err := sign.New(sign.Config{Token: token(s), Fulcio: s.FulcioURL(), TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot()})
	http.DefaultTransport = real
	if err != nil {
		t.Error(err)
	}
	if _, err := sign.New(sign.Config{Key: (*key.Private)(nil)}); err == nil {
		t.Error("a nil key was taken")
	}
	requests := &counted{f: func(int32, *http.Request) (*http.Response, error) { return nil, nil }}
	signer, err := sign.New(sign.Config{Token: func(context.Context) (string, error) { return "eyJhbGciOi.eyJz!.c2ln", nil },
		Fulcio: s.FulcioURL(), TSA: s.TSAURLs(), TrustedRoot: s.TrustedRoot(), Transport: requests})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(t.Context(), statement(t, "x")); err == nil || requests.n != 0 || !strings.HasPrefix(err.Error(), "sign: identity token: ") || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("%v after %d requests", err, requests.n)
	}
}
