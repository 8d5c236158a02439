package subject

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/hallmark-dev/hallmark/attest"
)

// bufferSize is what one read asks for, and nearly all the memory that hashing
// takes.
const bufferSize = 128 << 10

// A Hasher hashes artifacts. The zero Hasher takes SHA-256 alone. It holds no
// state and is safe for concurrent use if Progress is.
type Hasher struct {
	// Algorithms are "sha256", "sha384" or "sha512"; empty means "sha256". All
	// are computed in one pass.
	Algorithms []string
	// Progress, if not nil, is told how many bytes of a subject have been
	// hashed, after each part of at most 128 KiB.
	Progress func(name string, bytes int64)
	// FollowLinks lets Glob take symbolic links to files. Without it, one that
	// matches is an error.
	FollowLinks bool
}

// Hash reads r to its end.
func (h Hasher) Hash(ctx context.Context, r io.Reader) (attest.DigestSet, error) {
	return h.hash(ctx, "", r)
}

func (h Hasher) hash(ctx context.Context, name string, r io.Reader) (attest.DigestSet, error) {
	names := h.Algorithms
	if len(names) == 0 {
		names = []string{attest.SHA256}
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	sums := make([]hash.Hash, len(names))
	for i, alg := range names {
		switch alg {
		case attest.SHA256:
			sums[i] = sha256.New()
		case attest.SHA384:
			sums[i] = sha512.New384()
		case attest.SHA512:
			sums[i] = sha512.New()
		default:
			return nil, fmt.Errorf("hash algorithm %.32q, want sha256, sha384 or sha512", alg)
		}
	}
	buf := make([]byte, bufferSize)
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := r.Read(buf)
		for _, s := range sums {
			s.Write(buf[:n])
		}
		total += int64(n)
		if n > 0 && h.Progress != nil {
			h.Progress(name, total)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	set := make(attest.DigestSet, len(names))
	for i, alg := range names {
		set[alg] = hex.EncodeToString(sums[i].Sum(nil))
	}
	return set, nil
}
