package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/fetcher"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/hallmark-dev/hallmark/internal/atomicfile"
)

// A TUF says where to fetch a trust root from, and what to hold it against.
type TUF struct {
	// Mirror is the base URL of the repository. Empty means Sigstore's public
	// good instance.
	Mirror string
	// Root is the root.json that trust starts from. It may be nil for the
	// public good instance alone, whose root is built in.
	Root []byte
	// Target is the file to fetch; empty means "trusted_root.json".
	Target string
	// Cache is a directory in which what was fetched is kept, and found again
	// when offline. It has the layout of sigstore-go and cosign
	// ("$HOME/.sigstore/root"), which may share it. Several processes may use
	// it at once. Empty means none.
	Cache string
	// Offline never touches the network: the cache gives everything, and when
	// it lacks something or has expired, that is the error.
	Offline bool
	// CacheFirst asks the mirror only when the cache lacks something or has
	// expired.
	CacheFirst bool
	// Now is the time at which expiry is judged. Zero is an error.
	Now time.Time
	// Client makes the requests; nil means a client of its own, which waits at
	// most 30 seconds for each answer.
	Client *http.Client
}

// A TUFError says that a TUF repository did not give what was asked for.
type TUFError struct {
	Mirror  string
	Offline bool // the cache alone was asked
	Err     error
}

func (e *TUFError) Error() string {
	if e.Offline {
		hint := "fetch once with a network, or give a trusted_root.json"
		if errors.Is(e.Err, &metadata.ErrExpiredMetadata{}) {
			hint = "the cache has expired: " + hint
		} else if errors.Is(e.Err, fs.ErrNotExist) {
			hint = "the cache is incomplete: " + hint
		}
		return fmt.Sprintf("verify: trust root of %s, offline: %v: %s", e.Mirror, e.Err, hint)
	}
	return fmt.Sprintf("verify: trust root of %s: %v", e.Mirror, e.Err)
}

func (e *TUFError) Unwrap() error { return e.Err }

// MaxTUFRootBytes limits TUF.Root, as go-tuf limits every root.json.
const MaxTUFRootBytes = 512_000

// FetchTrustRoot gets a trusted_root.json as [TUF.Fetch] does, and reads it as
// [ParseTrustRoot] does. The name stands in reports and is the caller's own.
func FetchTrustRoot(ctx context.Context, name string, t TUF) (*TrustRoot, error) {
	data, err := t.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	return ParseTrustRoot(name, data)
}

// Fetch gets one file by The Update Framework (TUF specification v1.0, section
// 5), with go-tuf. Connection errors, 429 and 5xx are tried again, four times
// in all. A repository that does not give the file is a [*TUFError].
func (t TUF) Fetch(ctx context.Context) ([]byte, error) {
	if err := t.complete(); err != nil {
		return nil, err
	}
	var data []byte
	var err error
	if t.Offline || t.CacheFirst {
		data, err = t.fetch(ctx, &cached{dir: t.dir()})
	}
	if !t.Offline && (!t.CacheFirst || err != nil) {
		m := &mirror{ctx: ctx, client: t.Client, dir: t.dir(), got: make(map[string][]byte)}
		if data, err = t.fetch(ctx, m); err == nil && t.Cache != "" {
			err = m.save(t.dir())
		}
	}
	if err != nil {
		return nil, &TUFError{Mirror: t.Mirror, Offline: t.Offline, Err: err}
	}
	return data, nil
}

// complete fills in the defaults and refuses what cannot be meant.
func (t *TUF) complete() error {
	if t.Now.IsZero() {
		return errors.New("verify: no time was given to judge the expiry of TUF metadata at")
	}
	if t.Mirror == "" {
		t.Mirror = tuf.DefaultMirror
		if t.Root == nil {
			t.Root = tuf.DefaultRoot()
		}
	}
	t.Target = cmp.Or(t.Target, "trusted_root.json")
	switch u, err := url.Parse(t.Mirror); {
	case err == nil && (u.User != nil || u.Fragment != ""):
		return fmt.Errorf("verify: TUF mirror at host %.128q with user-info or a fragment, want a plain URL", u.Host)
	case len(t.Root) == 0:
		return fmt.Errorf("verify: TUF mirror %s without a root.json: trust must start from one that you have", t.Mirror)
	case len(t.Root) > MaxTUFRootBytes:
		return fmt.Errorf("verify: root.json of %d bytes, want at most %d", len(t.Root), MaxTUFRootBytes)
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "":
		return fmt.Errorf("verify: TUF mirror %.128q, want an http or https URL", t.Mirror)
	case strings.ContainsAny(t.Target, `/\`):
		return fmt.Errorf("verify: TUF target %.128q, want a name without directories", t.Target)
	case (t.Offline || t.CacheFirst) && t.Cache == "":
		return errors.New("verify: TUF from a cache, and no cache directory given")
	}
	return nil
}

func (t *TUF) dir() string {
	if t.Cache == "" {
		return ""
	}
	return filepath.Join(t.Cache, tuf.URLToPath(t.Mirror))
}

// fetch runs the whole client workflow of the specification, from the caller's
// root on, with every file from one source.
func (t *TUF) fetch(ctx context.Context, from fetcher.Fetcher) (data []byte, err error) {
	defer func() {
		// Go-tuf parses before it checks signatures, and does not survive every
		// shape of it.
		if r := recover(); r != nil {
			data, err = nil, fmt.Errorf("malformed TUF metadata: %v", r)
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg, err := config.New(t.Mirror, t.Root)
	if err != nil {
		return nil, err
	}
	cfg.Fetcher = from
	// Go-tuf reads older metadata here, against rollback. It must not write:
	// two of its writers in one directory disturb each other.
	cfg.LocalMetadataDir = cmp.Or(t.dir(), os.DevNull)
	cfg.DisableLocalCache = true
	up, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	// Go-tuf calls this unsafe because it stands in for its own clock; here
	// all time comes from the caller.
	up.UnsafeSetRefTime(t.Now)
	if err := up.Refresh(); err != nil {
		return nil, err
	}
	info, err := up.GetTargetInfo(t.Target)
	if err != nil {
		return nil, err
	}
	if data, err := os.ReadFile(filepath.Join(cfg.LocalMetadataDir, "targets", url.PathEscape(info.Path))); err == nil && info.VerifyLengthHashes(data) == nil {
		return data, nil
	}
	_, data, err = up.DownloadTarget(info, "", "")
	return data, err
}

// Numbered roots are kept under this name, as python-tuf does: only the whole
// chain proves the last one.
const rootHistory = "root_history"

var numberedRoot = regexp.MustCompile(`\A[0-9]+\.root\.json\z`)

var versioned = regexp.MustCompile(`\A(?:[0-9]+|[0-9a-f]{64,128})\.(.+)\z`)

// onDisk is where a file of a repository lies in a cache. Names on disk have no
// version or digest in front; what go-tuf checks is the content.
func onDisk(u *url.URL) string {
	base := path.Base(u.EscapedPath())
	if numberedRoot.MatchString(base) {
		return filepath.Join(rootHistory, base)
	}
	if m := versioned.FindStringSubmatch(base); m != nil {
		base = m[1]
	}
	if path.Base(path.Dir(u.Path)) == "targets" {
		base = filepath.Join("targets", base)
	}
	return base
}

// A cached source has only what is on disk.
type cached struct{ dir string }

func (c *cached) DownloadFile(address string, limit int64, _ time.Duration) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(c.dir, onDisk(u))
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) && numberedRoot.MatchString(filepath.Base(file)) {
		// The end of the chain.
		return nil, &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: address}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", file, limit)
	}
	return data, err
}

// A mirror asks the network, bound to the caller's context, and remembers what
// it got.
type mirror struct {
	ctx    context.Context
	client *http.Client
	dir    string // of the cache, or empty
	got    map[string][]byte
}

func (m *mirror) DownloadFile(address string, limit int64, _ time.Duration) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	name := onDisk(u)
	// A root that was seen once is not forgotten: a mirror that hides it would
	// bring back the keys that it revoked. It is verified along the chain again.
	if m.dir != "" && filepath.Dir(name) == rootHistory {
		data, err := (&cached{m.dir}).DownloadFile(address, limit, 0)
		if absent := (*metadata.ErrDownloadHTTP)(nil); !errors.As(err, &absent) {
			// There, or not to be read, which must not look as if it were absent.
			m.got[name] = data
			return data, err
		}
	}
	data, err := backoff.Retry(m.ctx, func() ([]byte, error) { return m.get(address, limit) }, backoff.WithMaxTries(4))
	if err != nil {
		return nil, err
	}
	m.got[name] = data
	return data, nil
}

// save writes what a successful fetch got, the timestamp after what it vouches
// for. A root in the history is no more trusted than one
// from the mirror, since each use goes along the whole chain.
func (m *mirror) save(dir string) error {
	for _, sub := range []string{rootHistory, "targets"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	names := slices.Sorted(maps.Keys(m.got))
	for _, name := range names {
		if name != "timestamp.json" {
			if err := atomicfile.Write(filepath.Join(dir, name), m.got[name], 0o600); err != nil {
				return err
			}
		}
	}
	return atomicfile.Write(filepath.Join(dir, "timestamp.json"), m.got["timestamp.json"], 0o600)
}

func (m *mirror) get(address string, limit int64) ([]byte, error) {
	client := m.client
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	req, err := http.NewRequestWithContext(m.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err := &metadata.ErrDownloadHTTP{StatusCode: resp.StatusCode, URL: address}
		if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode < 500 {
			return nil, backoff.Permanent(err)
		}
		if seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")); seconds > 0 {
			return nil, fmt.Errorf("%w: %w", err, backoff.RetryAfter(min(seconds, 10)))
		}
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, backoff.Permanent(fmt.Errorf("%s is longer than %d bytes", address, limit))
	}
	return data, nil
}
