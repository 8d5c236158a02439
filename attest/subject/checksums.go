package subject

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-dev/hallmark/attest"
)

// Limits on checksum files.
const (
	MaxChecksumBytes = 4 << 20 // of the file
	MaxChecksumLine  = 8 << 10 // bytes of one line
)

// A ChecksumError says which line of a checksum file cannot be used, and why.
type ChecksumError struct {
	Line int // 1-based; 0 means the whole file
	Err  error
}

func (e *ChecksumError) Error() string {
	if e.Line == 0 {
		return "checksum file: " + e.Err.Error()
	}
	return fmt.Sprintf("checksum file, line %d: %v", e.Line, e.Err)
}

func (e *ChecksumError) Unwrap() error { return e.Err }

// Checksums is one subject for each name in a checksum file, in the order of
// the file. It reads what sha256sum, sha384sum, sha512sum and shasum write (one
// space and '*' or a second space before the name, or none), their escaped
// lines, what they and BSD write with --tag ("SHA256 (name) = hex"), and what
// openssl dgst writes. Line ends may be CRLF, hexadecimal may be in upper case,
// a UTF-8 byte order mark is skipped, as are empty lines and those that begin
// with '#'. Without a tag, 64, 96 and 128 digits mean SHA-256, SHA-384 and
// SHA-512.
//
// Every other line is a [*ChecksumError]: one that was skipped would leave an
// artifact without a statement. So are a weak digest, a name with control
// characters or invalid UTF-8, one name with two digests of the same algorithm,
// no line at all, and more than the limits. Digests of one name by several
// algorithms become one subject.
func Checksums(r io.Reader) Seq {
	return func(yield func(attest.Subject, error) bool) {
		subjects, err := parseChecksums(r)
		if err != nil {
			yield(attest.Subject{}, err)
			return
		}
		for _, s := range subjects {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func parseChecksums(r io.Reader) ([]attest.Subject, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxChecksumBytes+1))
	if err != nil {
		return nil, &ChecksumError{0, err}
	}
	if len(data) > MaxChecksumBytes {
		return nil, &ChecksumError{0, fmt.Errorf("more than %d bytes", MaxChecksumBytes)}
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, &ChecksumError{0, errors.New("encoded in UTF-16: write it in UTF-8")}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))

	var out []attest.Subject
	index := make(map[string]int)
	number := 0
	for raw := range bytes.SplitSeq(data, []byte("\n")) {
		number++
		line := string(bytes.TrimSuffix(raw, []byte("\r")))
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) > MaxChecksumLine {
			return nil, &ChecksumError{number, fmt.Errorf("%d bytes, want at most %d", len(line), MaxChecksumLine)}
		}
		name, digest, err := parseLine(line)
		if err != nil {
			return nil, &ChecksumError{number, err}
		}
		i, ok := index[name]
		if !ok {
			i = len(out)
			index[name] = i
			out = append(out, attest.Subject{Name: name, Digest: make(attest.DigestSet)})
		}
		if old, ok := out[i].Digest[digest.Algorithm()]; ok && old != digest.Hex() {
			return nil, &ChecksumError{number, fmt.Errorf("%.128q has two %s digests, %s and %s", name, digest.Algorithm(), old, digest.Hex())}
		}
		out[i].Digest[digest.Algorithm()] = digest.Hex()
	}
	if len(out) == 0 {
		return nil, &ChecksumError{0, errors.New("no checksums in it")}
	}
	return out, nil
}

var tagged = regexp.MustCompile(`\A([A-Za-z0-9/-]+) ?\((.*)\) ?= ?([0-9A-Fa-f]+)\z`)

var tags = map[string]string{
	"SHA256": attest.SHA256, "SHA384": attest.SHA384, "SHA512": attest.SHA512,
	"SHA2-256": attest.SHA256, "SHA2-384": attest.SHA384, "SHA2-512": attest.SHA512,
}

var byLength = map[int]string{64: attest.SHA256, 96: attest.SHA384, 128: attest.SHA512}

func parseLine(line string) (name string, d attest.Digest, err error) {
	line, escaped := strings.CutPrefix(line, `\`)
	var alg, value string
	if m := tagged.FindStringSubmatch(line); m != nil {
		if alg = tags[strings.ToUpper(m[1])]; alg == "" {
			return "", d, fmt.Errorf("algorithm %.32q, want SHA256, SHA384 or SHA512: no other digest can bind an artifact", m[1])
		}
		name, value = m[2], m[3]
	} else {
		var ok bool
		if value, name, ok = strings.Cut(line, " "); !ok {
			return "", d, fmt.Errorf("%.128q, want HEX, two spaces, and a name", line)
		}
		if name != "" && (name[0] == ' ' || name[0] == '*') {
			name = name[1:]
		}
		if alg = byLength[len(value)]; alg == "" {
			return "", d, fmt.Errorf("%.140q has %d characters, want 64, 96 or 128 hexadecimal digits (SHA-256, SHA-384, SHA-512)", value, len(value))
		}
	}
	sum, err := hex.DecodeString(value)
	if err != nil {
		return "", d, fmt.Errorf("%.140q is not hexadecimal", value)
	}
	if d, err = attest.NewDigest(alg, sum); err != nil {
		return "", d, err
	}
	if escaped {
		if name, err = unescape(name); err != nil {
			return "", d, err
		}
	}
	switch {
	case name == "":
		return "", d, errors.New("the name is missing")
	case !utf8.ValidString(name):
		return "", d, fmt.Errorf("the name %.128q is not valid UTF-8", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", d, fmt.Errorf("the name %.128q holds a control character", name)
	}
	return name, d, nil
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch {
		case i < len(s) && s[i] == '\\':
			b.WriteByte('\\')
		case i < len(s) && s[i] == 'n':
			b.WriteByte('\n')
		case i < len(s) && s[i] == 'r':
			b.WriteByte('\r')
		default:
			return "", fmt.Errorf(`the escaped name %.128q has a \ without n, r or \ after it`, s)
		}
	}
	return b.String(), nil
}
