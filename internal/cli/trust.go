package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify"
)

// A trustFlags says where trust roots come from.
type trustFlags struct {
	files   []string
	mirror  string
	root    string
	cache   string
	offline bool
}

func (t *trustFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&t.files, "trusted-root", nil, "trusted_root.json `file` in place of the well-known roots; github=FILE or public-good=FILE supplies one of those")
	f.StringVar(&t.mirror, "tuf-mirror", "", "`URL` of the TUF repository to get the trust root from (default: Sigstore's public good instance)")
	f.StringVar(&t.root, "tuf-root", "", "root.json `file` that trust in --tuf-mirror starts from")
	f.StringVar(&t.cache, "tuf-cache", "", "`directory` for TUF's files (default: $HOME/.sigstore/root)")
	f.BoolVar(&t.offline, "offline", false, "never touch the network: take the trust root from the cache or a file")
}

// tuf is the repository that the flags name.
func (a *app) tuf(t *trustFlags, target string) (verify.TUF, error) {
	out := verify.TUF{Mirror: t.mirror, Target: target, Cache: t.cache, Offline: t.offline, Now: time.Now()}
	if t.root != "" {
		if t.mirror == "" {
			return out, errors.New("--tuf-root without --tuf-mirror: say which repository it is for")
		}
		var err error
		if out.Root, err = a.readFile("TUF root", t.root, verify.MaxTUFRootBytes); err != nil {
			return out, err
		}
	}
	if out.Cache == "" {
		home := a.env("HOME")
		if home == "" {
			return out, errors.New("no HOME for the TUF cache: give --tuf-cache or --trusted-root")
		}
		out.Cache = filepath.Join(home, ".sigstore", "root")
	}
	// Asking the mirror at every command would make it a part of every
	// deployment; expired metadata is never used.
	out.CacheFirst = !t.offline
	return out, nil
}

// given reads the roots of --trusted-root, by their names.
func (a *app) given(t *trustFlags) (map[string][]byte, error) {
	out := make(map[string][]byte)
	for _, f := range t.files {
		name, file := policy.Given, f
		for _, known := range []string{policy.GitHub, policy.PublicGood} {
			if rest, ok := strings.CutPrefix(f, known+"="); ok {
				name, file = known, rest
			}
		}
		if _, ok := out[name]; ok {
			return nil, fmt.Errorf("--trusted-root: two files for the root called %s", name)
		}
		data, err := a.readFile("trusted root", file, verify.MaxTrustRootBytes)
		if err != nil {
			return nil, err
		}
		out[name] = data
	}
	return out, nil
}

// trusted is one verifier and the name under which the policy knows its root.
type trusted struct {
	name     string
	verifier *verify.Verifier
}

// verifiers makes one verifier for each root that the policy can use.
func (a *app) verifiers(ctx context.Context, t *trustFlags, need policy.Verification) ([]trusted, []policy.Root, error) {
	var keys []verify.Key
	for _, pem := range need.Keys {
		pub, err := key.ParsePublic([]byte(pem))
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, verify.Key{Public: pub.Key()})
	}
	given, err := a.given(t)
	if err != nil {
		return nil, nil, err
	}
	var roots []*verify.TrustRoot
	var named []policy.Root
	for _, name := range []string{policy.Given, policy.PublicGood, policy.GitHub} {
		var root *verify.TrustRoot
		switch data, ok := given[name]; {
		case ok:
			root, err = verify.ParseTrustRoot(name, data)
		case name == policy.PublicGood && len(given) == 0 && slices.Contains(need.Roots, name):
			var from verify.TUF
			if from, err = a.tuf(t, ""); err == nil {
				root, err = verify.FetchTrustRoot(ctx, name, from)
			}
		default:
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		named = append(named, policy.Root{Name: name, Digest: root.Digest()})
		roots = append(roots, root)
	}
	for _, f := range need.Files {
		root, err := verify.ParseTrustRoot(f.Trust, f.Data)
		if err != nil {
			return nil, nil, err
		}
		roots = append(roots, root)
	}
	if need.KeysAlone {
		root, err := verify.KeyRoot("keys", keys...)
		if err != nil {
			return nil, nil, err
		}
		roots = append(roots, root)
	}
	var out []trusted
	for _, root := range roots {
		if len(keys) > 0 {
			if root, err = root.WithKeys(keys...); err != nil {
				return nil, nil, err
			}
		}
		v, err := verify.New(root, verify.Config{InsecureNoLog: need.NoLog})
		if err != nil {
			return nil, nil, err
		}
		out = append(out, trusted{root.Name(), v})
	}
	if len(out) == 0 {
		return nil, nil, fmt.Errorf("no trust root: the policy accepts those called %s; give --trusted-root", strings.Join(need.Roots, ", "))
	}
	return out, named, nil
}
