package attest

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The algorithms that can bind an artifact. All others of a [DigestSet] are
// kept and shown, and never decide anything.
const (
	SHA256 = "sha256"
	SHA384 = "sha384"
	SHA512 = "sha512"
)

// hexLengths holds the names of the in-toto DigestSet specification (v1) with
// a fixed length, in hexadecimal digits.
var hexLengths = map[string][]int{
	SHA256: {64}, SHA384: {96}, SHA512: {128},
	"sha224": {56}, "sha512_224": {56}, "sha512_256": {64},
	"sha3_224": {56}, "sha3_256": {64}, "sha3_384": {96}, "sha3_512": {128},
	"sha1": {40}, "md5": {32}, "dirHash": {64},
	"gitCommit": {40, 64}, "gitTree": {40, 64}, "gitBlob": {40, 64}, "gitTag": {40, 64},
}

// IsStrong reports whether digests of this algorithm can bind an artifact:
// sha256, sha384 or sha512.
func IsStrong(algorithm string) bool {
	return algorithm == SHA256 || algorithm == SHA384 || algorithm == SHA512
}

// A Digest is one strong digest: sha256, sha384 or sha512. It is comparable.
// The zero Digest is none at all and matches nothing.
type Digest struct{ algorithm, hex string }

// ParseDigest reads "ALG:HEX" with ALG sha256, sha384 or sha512 and HEX in
// lower case and of exact length.
func ParseDigest(s string) (Digest, error) {
	alg, value, ok := strings.Cut(s, ":")
	if !ok {
		return Digest{}, fmt.Errorf("attest: digest %.80q, want ALG:HEX such as sha256:9f86d0…", s)
	}
	if !IsStrong(alg) {
		return Digest{}, fmt.Errorf("attest: digest algorithm %.32q, want sha256, sha384 or sha512", alg)
	}
	if err := checkHex(alg, value); err != nil {
		return Digest{}, fmt.Errorf("attest: %w", err)
	}
	return Digest{alg, value}, nil
}

// NewDigest makes a Digest of a finished hash sum. The algorithm must be
// strong and the sum must have its length.
func NewDigest(algorithm string, sum []byte) (Digest, error) {
	return ParseDigest(algorithm + ":" + hex.EncodeToString(sum))
}

// Algorithm is "sha256", "sha384" or "sha512"; empty for the zero Digest.
func (d Digest) Algorithm() string { return d.algorithm }

// Hex is the value in lower-case hexadecimal.
func (d Digest) Hex() string { return d.hex }

// Bytes is the value as bytes, a new slice each time.
func (d Digest) Bytes() []byte {
	b, _ := hex.DecodeString(d.hex) // checked when it was made
	return b
}

// IsZero reports whether d is no digest.
func (d Digest) IsZero() bool { return d.algorithm == "" }

// String is "ALG:HEX", or "none" for the zero Digest.
func (d Digest) String() string {
	if d.IsZero() {
		return "none"
	}
	return d.algorithm + ":" + d.hex
}

// A DigestSet maps the algorithm names of the in-toto DigestSet specification
// (v1) to hexadecimal values that are all digests of one thing. Unknown names
// are allowed and opaque.
type DigestSet map[string]string

// Set makes a DigestSet of strong digests. Zero digests are left out.
func Set(digests ...Digest) DigestSet {
	s := make(DigestSet, len(digests))
	for _, d := range digests {
		if !d.IsZero() {
			s[d.algorithm] = d.hex
		}
	}
	return s
}

// Strong returns the digests that can bind an artifact, in the order sha256,
// sha384, sha512.
func (s DigestSet) Strong() []Digest {
	var out []Digest
	for _, alg := range []string{SHA256, SHA384, SHA512} {
		if v, ok := s[alg]; ok && checkHex(alg, v) == nil {
			out = append(out, Digest{alg, v})
		}
	}
	return out
}

// A Match says how two digest sets relate.
type Match int

// Only Equal binds. The others differ so that a caller can say why it does not.
const (
	Unrelated Match = iota // no strong algorithm is in both
	Different              // every shared strong digest differs
	Conflict               // one shared strong digest is equal and another differs
	Equal                  // at least one strong digest is shared, and all shared ones are equal
)

// Compare relates s to t by their strong digests alone. Values are compared
// as they are written: a value in upper case or of wrong length equals nothing.
func (s DigestSet) Compare(t DigestSet) Match {
	same, other := 0, 0
	for _, alg := range []string{SHA256, SHA384, SHA512} {
		a, ok := s[alg]
		b, ok2 := t[alg]
		if !ok || !ok2 {
			continue
		}
		if a == b && checkHex(alg, a) == nil {
			same++
		} else {
			other++
		}
	}
	switch {
	case same > 0 && other == 0:
		return Equal
	case same > 0:
		return Conflict
	case other > 0:
		return Different
	}
	return Unrelated
}

// Names returns the algorithm names in sorted order.
func (s DigestSet) Names() []string { return slices.Sorted(maps.Keys(s)) }

// check accepts what New may write: at least one digest, and every name that
// the specification knows with lower-case hexadecimal of its length.
func (s DigestSet) check() error {
	if len(s) == 0 {
		return fmt.Errorf("digest: empty, want at least one algorithm")
	}
	for _, alg := range s.Names() {
		if alg == "" {
			return fmt.Errorf("digest: empty algorithm name")
		}
		if err := checkHex(alg, s[alg]); err != nil {
			return err
		}
	}
	return nil
}

// checkStrong accepts what Parse may read: weak and unknown digests are
// opaque, strong ones must be well formed.
func (s DigestSet) checkStrong() error {
	for _, alg := range s.Names() {
		if IsStrong(alg) {
			if err := checkHex(alg, s[alg]); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkHex(alg, value string) error {
	lengths, known := hexLengths[alg]
	if !known {
		if value == "" {
			return fmt.Errorf("digest %.32q: empty value", alg)
		}
		return nil
	}
	if !slices.Contains(lengths, len(value)) {
		return fmt.Errorf("digest %s: %d characters, want %d hexadecimal digits", alg, len(value), lengths[0])
	}
	for _, c := range []byte(value) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("digest %s: %.140q, want lower-case hexadecimal", alg, value)
		}
	}
	return nil
}
