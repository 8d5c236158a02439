package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/attest/subject"
	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// maxBundles limits the bundles for one artifact. More is an error: the one
// that was left out could matter.
const maxBundles = 1000

// maxCollected limits the bytes of all bundles for one artifact, which are held
// until they are verified.
const maxCollected = 256 << 20

// A collection is what was found for one artifact, unverified.
type collection struct {
	bundles  []found
	rejected []policy.Rejected // what is no bundle
	sources  []policy.SourceReport
	bytes    int
}

type found struct {
	*bundle.Bundle
	location string
}

// collect reads the bundles of --bundle, or those that lie beside a file.
func (a *app) collect(names []string, artifact string) (*collection, error) {
	c := &collection{}
	if len(names) > 0 {
		for _, name := range names {
			if err := a.collectFile(c, name); err != nil {
				return nil, err
			}
		}
		return c, nil
	}
	if artifact == "-" || isDigest(artifact) {
		return nil, fmt.Errorf("%s: nothing can lie beside it: give --bundle", artifact)
	}
	for _, suffix := range []string{".sigstore.json", ".intoto.jsonl", ".jsonl"} {
		name := artifact + suffix
		before := len(c.bundles) + len(c.rejected)
		err := a.collectFile(c, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = nil
		case errors.Is(err, errTooMany):
			return nil, err
		}
		source := policy.SourceReport{Name: name, Found: len(c.bundles) + len(c.rejected) - before}
		if err != nil {
			source.Error = err.Error()
		}
		c.sources = append(c.sources, source)
	}
	return c, nil
}

var errTooMany = fmt.Errorf("more than %d bundles, or more than %d bytes of them: name fewer", maxBundles, maxCollected)

// collectFile reads one bundle, or with the name of a JSON Lines file one on
// each line.
func (a *app) collectFile(c *collection, name string) error {
	if !strings.HasSuffix(name, ".jsonl") {
		data, err := a.readFile("bundle", name, bundle.MaxBytes)
		if err != nil {
			return err
		}
		return c.add(data, name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("bundle %s: not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for number := 1; ; number++ {
		line, err := readLine(lines, bundle.MaxBytes)
		if err != nil && err != io.EOF {
			return fmt.Errorf("bundle %s, line %d: %w", name, number, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if err := c.add(line, fmt.Sprintf("%s:%d", name, number)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit+1 {
			return nil, fmt.Errorf("longer than %d bytes", limit)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// add keeps what is a bundle. What is none can satisfy nothing, and is reported.
func (c *collection) add(data []byte, location string) error {
	if c.bytes += len(data); len(c.bundles)+len(c.rejected) >= maxBundles || c.bytes > maxCollected {
		return errTooMany
	}
	b, err := bundle.Parse(data)
	if err != nil {
		sum := sha256.Sum256(data)
		r := policy.Rejected{Bundle: "sha256:" + hex.EncodeToString(sum[:]), Location: location, Reason: string(verify.Malformed), Detail: err.Error()}
		if bareEnvelope(data) {
			r.Reason, r.Detail = string(verify.NotLogged), "a bare DSSE envelope, without log entry or timestamp: nothing proves when it was signed. Ask for a Sigstore bundle"
		}
		c.rejected = append(c.rejected, r)
		return nil
	}
	c.bundles = append(c.bundles, found{b, location})
	return nil
}

// bareEnvelope reports whether data is a DSSE envelope, as .intoto.jsonl files
// held before there were bundles.
func bareEnvelope(data []byte) bool {
	var e struct {
		PayloadType string            `json:"payloadType"`
		Payload     string            `json:"payload"`
		Signatures  []json.RawMessage `json:"signatures"`
	}
	return json.Unmarshal(data, &e) == nil && e.PayloadType != "" && e.Payload != "" && len(e.Signatures) > 0
}

// algorithms are those of the digests that the bundles speak of, so that one
// pass over the artifact gives them all. Nothing unverified decides by it: an
// algorithm that nobody mentions cannot match.
func (c *collection) algorithms() []string {
	seen := map[string]bool{attest.SHA256: true}
	for _, b := range c.bundles {
		says, _ := b.Unverified()
		if d, err := attest.ParseDigest(says.MessageDigest); err == nil {
			seen[d.Algorithm()] = true
		}
		if st, err := attest.Parse(says.Payload); err == nil {
			for _, s := range st.Subjects() {
				for _, d := range s.Digest.Strong() {
					seen[d.Algorithm()] = true
				}
			}
		}
	}
	var out []string
	for _, alg := range []string{attest.SHA256, attest.SHA384, attest.SHA512} {
		if seen[alg] {
			out = append(out, alg)
		}
	}
	return out
}

// artifact names and hashes what is decided about: a file, "-" or a digest.
func (a *app) artifact(ctx context.Context, name string, algorithms []string) (policy.Artifact, error) {
	s, err := subject.Collect(a.subjects(ctx, name, algorithms))
	a.endProgress()
	if err != nil {
		return policy.Artifact{}, err
	}
	// A policy's scope speaks of file names, wherever the files lie.
	return policy.Artifact{Name: path.Base(s[0].Name), Digests: s[0].Digest}, nil
}

// subjects is the one subject that an argument stands for.
func (a *app) subjects(ctx context.Context, arg string, algorithms []string) subject.Seq {
	h := subject.Hasher{Algorithms: algorithms, Progress: a.progress()}
	switch {
	case isDigest(arg):
		return subject.Digests("", arg)
	case arg == "-":
		in, err := a.input("artifact")
		if err != nil {
			return func(yield func(attest.Subject, error) bool) { yield(attest.Subject{}, err) }
		}
		return h.Reader(ctx, "-", in)
	}
	return h.Files(ctx, arg)
}

// isDigest reports whether an argument is meant as a digest. A malformed one
// is no file name: the mistake should be named.
func isDigest(arg string) bool {
	alg, _, ok := strings.Cut(arg, ":")
	if !ok || !attest.IsStrong(alg) {
		return false
	}
	_, err := os.Lstat(arg)
	return err != nil || digestOK(arg)
}

func digestOK(arg string) bool {
	_, err := attest.ParseDigest(arg)
	return err == nil
}

// verifyAll verifies every bundle under every root. A bundle that verifies
// under one root is not rejected because of another.
func verifyAll(ctx context.Context, c *collection, with []trusted, artifact attest.DigestSet) ([]evidence.Evidence, []policy.Rejected, error) {
	var out []evidence.Evidence
	rejected := c.rejected
	for _, b := range c.bundles {
		var why *verify.Error
		accepted := false
		for _, t := range with {
			if err := ctx.Err(); err != nil {
				return nil, nil, err
			}
			ev, err := t.verifier.Verify(b.Bundle, artifact)
			if err == nil {
				out = append(out, ev.At(b.location))
				accepted = true
				continue
			}
			var e *verify.Error
			if !errors.As(err, &e) {
				return nil, nil, err
			}
			if why == nil || nearer(e.Reason, why.Reason) {
				why = e
			}
		}
		if !accepted {
			rejected = append(rejected, policy.Rejected{Bundle: b.Digest(), Location: b.location,
				Reason: string(why.Reason), Detail: strings.TrimPrefix(why.Error(), "verify: "+string(why.Reason)+": ")})
		}
	}
	return out, rejected, nil
}

// nearer reports whether a reason says more than another that came before:
// one that only says "not under this root" says least.
func nearer(r, than verify.Reason) bool {
	least := func(r verify.Reason) bool {
		return r == verify.CertificateUntrusted || r == verify.KeyUnknown || r == verify.NotLogged || r == verify.NoTrustedTime || r == verify.TimestampInvalid
	}
	return least(than) && !least(r)
}
