package verify_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/hallmark-dev/hallmark/attest/sigstoretest"
	"github.com/hallmark-dev/hallmark/verify"
)

// A tufRepo is a private TUF repository with one key per role, over HTTP.
type tufRepo struct {
	t        *testing.T
	server   *httptest.Server
	keys     map[string]ed25519.PrivateKey
	roots    []*metadata.Metadata[metadata.RootType]
	version  int64
	now      time.Time
	mu       sync.Mutex
	files    map[string][]byte
	requests int
	answer   func(w http.ResponseWriter, n int) bool // true if it answered
}

func newTUFRepo(t *testing.T, now time.Time, trustedRoot []byte) *tufRepo {
	r := &tufRepo{t: t, now: now, keys: make(map[string]ed25519.PrivateKey), files: make(map[string][]byte)}
	for i, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		seed := sha256.Sum256(fmt.Appendf(nil, "%s %d", role, i))
		r.keys[role] = ed25519.NewKeyFromSeed(seed[:])
	}
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.server.Close)
	r.addRoot()
	r.publish(trustedRoot)
	return r
}

func (r *tufRepo) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.answer != nil && r.answer(w, r.requests) {
		return
	}
	data, ok := r.files[strings.TrimPrefix(req.URL.Path, "/")]
	if !ok {
		http.NotFound(w, req)
		return
	}
	w.Write(data)
}

func (r *tufRepo) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// addRoot publishes a new root version, signed by its own key and the one
// before it.
func (r *tufRepo) addRoot() {
	root := metadata.Root(r.now.AddDate(1, 0, 0))
	signers := []ed25519.PrivateKey{r.keys[metadata.ROOT]}
	if n := len(r.roots); n > 0 {
		seed := sha256.Sum256(fmt.Appendf(nil, "root %d", n))
		r.keys[metadata.ROOT] = ed25519.NewKeyFromSeed(seed[:])
		seed = sha256.Sum256(fmt.Appendf(nil, "timestamp %d", n))
		r.keys[metadata.TIMESTAMP] = ed25519.NewKeyFromSeed(seed[:])
		signers = append(signers, r.keys[metadata.ROOT])
		root.Signed.Version = int64(n + 1)
	}
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		key, err := metadata.KeyFromPublicKey(r.keys[role].Public())
		r.check(err)
		r.check(root.Signed.AddKey(key, role))
	}
	r.sign(root, signers...)
	r.roots = append(r.roots, root)
	data, err := root.ToBytes(false)
	r.check(err)
	r.put(fmt.Sprintf("%d.root.json", root.Signed.Version), data)
}

type signable interface {
	Sign(signature.Signer) (*metadata.Signature, error)
}

func (r *tufRepo) sign(m signable, keys ...ed25519.PrivateKey) {
	for _, k := range keys {
		s, err := signature.LoadED25519Signer(k)
		r.check(err)
		_, err = m.Sign(s)
		r.check(err)
	}
}

func (r *tufRepo) put(name string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = data
}

// publish makes a new version of everything below the root.
func (r *tufRepo) publish(trustedRoot []byte) {
	r.version++
	targets := metadata.Targets(r.now.AddDate(0, 1, 0))
	info, err := (&metadata.TargetFiles{}).FromBytes("trusted_root.json", trustedRoot, "sha256")
	r.check(err)
	targets.Signed.Targets["trusted_root.json"] = info
	targets.Signed.Version = r.version
	snapshot := metadata.Snapshot(r.now.AddDate(0, 1, 0))
	snapshot.Signed.Version = r.version
	snapshot.Signed.Meta["targets.json"] = metadata.MetaFile(r.version)
	timestamp := metadata.Timestamp(r.now.AddDate(0, 0, 7))
	timestamp.Signed.Version = r.version
	timestamp.Signed.Meta["snapshot.json"] = metadata.MetaFile(r.version)
	r.sign(targets, r.keys[metadata.TARGETS])
	r.sign(snapshot, r.keys[metadata.SNAPSHOT])
	r.sign(timestamp, r.keys[metadata.TIMESTAMP])
	for name, m := range map[string]interface{ ToBytes(bool) ([]byte, error) }{
		fmt.Sprintf("%d.targets.json", r.version): targets, fmt.Sprintf("%d.snapshot.json", r.version): snapshot, "timestamp.json": timestamp} {
		data, err := m.ToBytes(false)
		r.check(err)
		r.put(name, data)
	}
	sum := sha256.Sum256(trustedRoot)
	r.put("targets/"+hex.EncodeToString(sum[:])+".trusted_root.json", trustedRoot)
}

func (r *tufRepo) anchor() []byte { return r.files["1.root.json"] }

func (r *tufRepo) count(f func()) int {
	before := r.requests
	f()
	return r.requests - before
}

var tufNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestFetchTrustRoot(t *testing.T) {
	want := sigstoretest.New(t, sigstoretest.Options{}).TrustedRoot()
	sum := sha256.Sum256(want)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	repo := newTUFRepo(t, tufNow, want)
	fetch := func(t *testing.T, o verify.TUF) {
		t.Helper()
		o.Mirror, o.Root, o.Now = repo.server.URL, repo.anchor(), tufNow.Add(time.Hour)
		r, err := verify.FetchTrustRoot(t.Context(), "given", o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Name() != "given" || r.Digest().String() != digest {
			t.Errorf("got %s %s, want %s", r.Name(), r.Digest(), digest)
		}
	}

	t.Run("without a cache", func(t *testing.T) {
		t.Chdir(t.TempDir())
		fetch(t, verify.TUF{})
		if left, _ := os.ReadDir("."); len(left) != 0 {
			t.Errorf("files left behind: %v", left)
		}
	})
	t.Run("then offline, after the root was rotated twice", func(t *testing.T) {
		repo.addRoot()
		repo.addRoot()
		repo.publish(want)
		cache := t.TempDir()
		fetch(t, verify.TUF{Cache: cache})
		if n := repo.count(func() { fetch(t, verify.TUF{Cache: cache, Offline: true}) }); n != 0 {
			t.Errorf("%d requests while offline", n)
		}
		if n := repo.count(func() { fetch(t, verify.TUF{Cache: cache, CacheFirst: true}) }); n != 0 {
			t.Errorf("%d requests while the cache is good", n)
		}
		if n := repo.count(func() { fetch(t, verify.TUF{Cache: t.TempDir(), CacheFirst: true}) }); n == 0 {
			t.Error("no request with an empty cache")
		}
	})
	t.Run("many at once share a cache", func(t *testing.T) {
		cache := t.TempDir()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { fetch(t, verify.TUF{Cache: cache}) })
		}
		wg.Wait()
		fetch(t, verify.TUF{Cache: cache, Offline: true})
	})
	t.Run("an answer of 503, then fine", func(t *testing.T) {
		n := 0
		repo.answer = func(w http.ResponseWriter, _ int) bool {
			n++
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return n == 1
		}
		defer func() { repo.answer = nil }()
		fetch(t, verify.TUF{})
	})
}

func TestFetchTrustRootRefuses(t *testing.T) {
	trusted := sigstoretest.New(t, sigstoretest.Options{}).TrustedRoot()
	repo := newTUFRepo(t, tufNow, trusted)
	other := newTUFRepo(t, tufNow, trusted)
	other.keys[metadata.TIMESTAMP] = other.keys[metadata.TARGETS]
	other.publish(trusted)
	good := verify.TUF{Mirror: repo.server.URL, Root: repo.anchor(), Now: tufNow}
	full := t.TempDir()
	withCache := good
	withCache.Cache = full
	if _, err := verify.FetchTrustRoot(t.Context(), "given", withCache); err != nil {
		t.Fatal(err)
	}
	down := httptest.NewServer(nil)
	down.Close()
	huge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 600_000)) }))
	defer huge.Close()

	for name, test := range map[string]struct {
		change func(*verify.TUF)
		text   string
	}{
		"no time":                       {func(o *verify.TUF) { o.Now = time.Time{} }, "no time was given"},
		"mirror without a root":         {func(o *verify.TUF) { o.Root = nil }, "without a root.json"},
		"empty root":                    {func(o *verify.TUF) { o.Root = []byte{} }, "without a root.json"},
		"root that is none":             {func(o *verify.TUF) { o.Root = []byte("{}") }, "trust root of"},
		"root above the limit":          {func(o *verify.TUF) { o.Root = make([]byte, verify.MaxTUFRootBytes+1) }, "want at most 512000"},
		"another repository's root":     {func(o *verify.TUF) { o.Mirror = other.server.URL; o.Root = repo.anchor() }, "trust root of"},
		"mirror that is no URL":         {func(o *verify.TUF) { o.Mirror = "file:///etc" }, "want an http or https URL"},
		"expired metadata":              {func(o *verify.TUF) { o.Now = tufNow.AddDate(0, 0, 8) }, "expired"},
		"mirror that is down":           {func(o *verify.TUF) { o.Mirror = down.URL }, "refused"},
		"endless root":                  {func(o *verify.TUF) { o.Mirror = huge.URL }, "longer than 512000 bytes"},
		"mirror with a password":        {func(o *verify.TUF) { o.Mirror = strings.Replace(o.Mirror, "//", "//user:secretpw@", 1) }, "with user-info"},
		"target in a directory":         {func(o *verify.TUF) { o.Target = "a/b.json" }, "without directories"},
		"target that is not there":      {func(o *verify.TUF) { o.Target = "other.json" }, "not found"},
		"offline without a cache":       {func(o *verify.TUF) { o.Offline = true }, "no cache directory"},
		"offline with an empty cache":   {func(o *verify.TUF) { o.Offline = true; o.Cache = t.TempDir() }, "the cache is incomplete: fetch once with a network"},
		"offline with an expired one":   {func(o *verify.TUF) { o.Offline = true; o.Cache = full; o.Now = tufNow.AddDate(0, 0, 8) }, "the cache has expired: fetch once with a network"},
		"offline, public good, nothing": {func(o *verify.TUF) { *o = verify.TUF{Offline: true, Cache: t.TempDir(), Now: tufNow} }, "tuf-repo-cdn.sigstore.dev, offline"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			test.change(&o)
			r, err := verify.FetchTrustRoot(t.Context(), "given", o)
			if err == nil || r != nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, error %v, want %q", r, err, test.text)
			}
			if err != nil && strings.Contains(err.Error(), "secretpw") {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := verify.FetchTrustRoot(ctx, "given", good); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("rollback", func(t *testing.T) {
		old := repo.files["timestamp.json"]
		repo.publish(trusted)
		if _, err := verify.FetchTrustRoot(t.Context(), "given", withCache); err != nil {
			t.Fatal(err)
		}
		repo.put("timestamp.json", old)
		if _, err := verify.FetchTrustRoot(t.Context(), "given", withCache); err == nil {
			t.Error("older metadata was accepted")
		}
	})
	t.Run("changed target in the cache", func(t *testing.T) {
		files, _ := filepath.Glob(filepath.Join(full, "*", "targets", "trusted_root.json"))
		if len(files) != 1 {
			t.Fatalf("files %v", files)
		}
		if err := os.WriteFile(files[0], append(trusted, ' '), 0o600); err != nil {
			t.Fatal(err)
		}
		o := withCache
		o.Offline = true
		if _, err := verify.FetchTrustRoot(t.Context(), "given", o); err == nil {
			t.Error("a changed target was accepted")
		}
	})
}

// A mirror that hides roots which were seen before would bring back the keys
// that they revoked, and with them old metadata.
func TestReplayedRoots(t *testing.T) {
	for name, rotated := range map[string][]string{"timestamp": nil, "snapshot": {metadata.SNAPSHOT}, "all": {metadata.SNAPSHOT, metadata.TARGETS}} {
		t.Run(name, func(t *testing.T) {
			before, after := sigstoretest.New(t, sigstoretest.Options{}).TrustedRoot(), sigstoretest.New(t, sigstoretest.Options{}).TrustedRoot()
			repo := newTUFRepo(t, tufNow, before)
			old := maps.Clone(repo.files)
			for _, role := range rotated {
				seed := sha256.Sum256([]byte("new " + role))
				repo.keys[role] = ed25519.NewKeyFromSeed(seed[:])
			}
			repo.addRoot()
			repo.addRoot()
			repo.publish(after)
			o := verify.TUF{Mirror: repo.server.URL, Root: repo.anchor(), Now: tufNow, Cache: t.TempDir()}
			if got, err := o.Fetch(t.Context()); err != nil || !bytes.Equal(got, after) {
				t.Fatalf("the new root: %v", err)
			}
			repo.files = old
			if got, err := o.Fetch(t.Context()); err == nil {
				t.Errorf("replayed metadata was accepted, the old root %v", bytes.Equal(got, before))
			}
			o.CacheFirst = true
			if got, err := o.Fetch(t.Context()); err != nil || !bytes.Equal(got, after) {
				t.Errorf("the cache was overwritten: %v", err)
			}
			// A root that is there and cannot be read is not taken for absent.
			seen, err := filepath.Glob(filepath.Join(o.Cache, "*", "root_history", "2.root.json"))
			if err != nil || len(seen) != 1 {
				t.Fatalf("%v, %v", seen, err)
			}
			if err := errors.Join(os.Remove(seen[0]), os.Mkdir(seen[0], 0o700)); err != nil {
				t.Fatal(err)
			}
			o.CacheFirst = false
			if _, err := o.Fetch(t.Context()); err == nil {
				t.Error("replayed past a root that cannot be read")
			}
		})
	}
}

// Go-tuf parses metadata before it checks signatures; whatever the shape, the
// answer is an error.
func TestMetadataOfEveryShape(t *testing.T) {
	trusted := sigstoretest.New(t, sigstoretest.Options{}).TrustedRoot()
	repo := newTUFRepo(t, tufNow, trusted)
	o := verify.TUF{Mirror: repo.server.URL, Root: repo.anchor(), Now: tufNow}
	for _, name := range []string{"1.targets.json", "1.snapshot.json", "timestamp.json"} {
		good := repo.files[name]
		for _, bad := range []string{"", "null", "[]", "{}", `{"signed":null,"signatures":null}`,
			`{"signatures":[],"signed":{"_type":"targets","spec_version":"1.0.31","version":1,"expires":"2030-01-01T00:00:00Z","targets":{"trusted_root.json":null}}}`,
			`{"signatures":[null],"signed":{"_type":"timestamp","spec_version":"1.0.31","version":1,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":null}}}`,
			`{"signatures":[],"signed":{"_type":"snapshot","spec_version":"1.0.31","version":1,"expires":"2030-01-01T00:00:00Z","meta":{"targets.json":null}}}`,
			strings.Replace(string(good), `"sig":"`, `"sig":"00`, 1)} {
			repo.put(name, []byte(bad))
			if data, err := o.Fetch(t.Context()); err == nil || data != nil {
				t.Errorf("%s: %s was accepted", name, bad)
			}
		}
		repo.put(name, good)
	}
	if _, err := o.Fetch(t.Context()); err != nil {
		t.Error(err)
	}
}
