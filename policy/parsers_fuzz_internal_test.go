package policy

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// A version that parses, written again, is the same one; and of any two, one is
// the greater, or they are equal.
func FuzzVersion(f *testing.F) {
	for _, s := range [][2]string{{"1.2.3", "1.2.3-rc.1"}, {"1.0.0-alpha.1", "1.0.0-alpha.beta"}, {"14", "14.0"}, {"1.0.0-10", "1.0.0-9"}} {
		f.Add(s[0], s[1])
	}
	write := func(v version) string {
		s := make([]string, 3)
		for i, p := range v.parts {
			s[i] = strconv.FormatUint(p, 10)
		}
		out := strings.Join(s, ".")
		if len(v.pre) > 0 {
			out += "-" + strings.Join(v.pre, ".")
		}
		return out
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		v, err := parseVersion(a)
		if err != nil {
			return
		}
		again, err := parseVersion(write(v))
		if err != nil || again.compare(v) != 0 || !slices.Equal(again.pre, v.pre) || !strings.HasPrefix(write(v), strings.SplitN(a, "-", 2)[0]) {
			t.Fatalf("%q is read as %q, %v", a, write(v), err)
		}
		w, err := parseVersion(b)
		if err != nil {
			return
		}
		if v.compare(w) != -w.compare(v) || (v.compare(w) == 0) != (write(v) == write(w)) {
			t.Fatalf("%q against %q: %d and %d", a, b, v.compare(w), w.compare(v))
		}
	})
}

// FuzzNumbers compares with rational numbers, which do not round.
func FuzzNumbers(f *testing.F) {
	for _, s := range [][2]string{{"1", "1.0"}, {"9007199254740993", "9007199254740992"}, {"1e2", "100.0"}, {"-0", "0"}, {"0.10", "0.1"}, {"1e2", "1e3"}, {"1.0", "10.0"}, {"1e-2", "0.01"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range []string{a, b} {
			_, exponent, _ := strings.Cut(strings.ToLower(s), "e")
			if !jsonNumber.MatchString(s) || len(exponent) > 3 || len(s) > 64 {
				return // no number, or one too long to write out
			}
		}
		x, ok := new(big.Rat).SetString(a)
		y, ok2 := new(big.Rat).SetString(b)
		if !ok || !ok2 {
			t.Fatalf("%q or %q is no rational number", a, b)
		}
		integers := !strings.ContainsAny(a, ".eE")
		want := x.Cmp(y) == 0 && integers == !strings.ContainsAny(b, ".eE")
		if got := sameNumber(a, b); got != want {
			t.Errorf("%s and %s: %v, want %v", a, b, got, want)
		}
	})
}

// FuzzAddressPath: every address that a policy may write leads to a place whose
// own address leads there, too.
func FuzzAddressPath(f *testing.F) {
	for _, s := range []string{"inputs.debug", "/inputs/a.b", "/~01", "/", "a~1b", "//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		path, err := addressPath(s)
		if err != nil {
			if path != nil {
				t.Fatalf("%q: %q beside an error", s, path)
			}
			return
		}
		back, err := addressPath(address(path))
		if err != nil || len(path) == 0 || !slices.Equal(back, path) {
			t.Fatalf("%q is %q, and that is written %q and read as %q, %v", s, path, address(path), back, err)
		}
		if !strings.HasPrefix(s, "/") && address(path) != s {
			t.Fatalf("%q is written %q", s, address(path))
		}
	})
}

func TestClip(t *testing.T) {
	full := strings.Repeat("A", maxShown)
	for text, want := range map[string]string{
		"plain \u00e9": "plain \u00e9", "": "", full: full, full + "A": full + "…", full[1:] + "\u00e9": full[1:] + "…",
		"\x1b[2J": `\u001b[2J`, "a\nb": `a\u000ab`, "\u202e": `\u202e`, "\u009b": `\u009b`,
		// A byte that is no character is told apart from the character that stands for such.
		"\xff": `\xff`, "a\xc0b": `a\xc0b`, "\ufffd": `\ufffd`, "\ufffd\xff": `\ufffd\xff`,
	} {
		if got := clip(text); got != want {
			t.Errorf("%.20q is shown as %.20q, want %.20q", text, got, want)
		}
	}
}

// FuzzClip: what is shown of a text is short, and deceives nobody. The list of
// characters is written out, and not taken from the code under test.
func FuzzClip(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[2J\n", "\u202e", "\xff\xc0", strings.Repeat("\U0001f600", 80), strings.Repeat("\x1b", 300), "\ufffd"} {
		f.Add(s)
	}
	const deceiving = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
	f.Fuzz(func(t *testing.T, s string) {
		got := clip(s)
		if !utf8.ValidString(got) || len(got) > len(`\u001b`)*maxShown+len("…") {
			t.Fatalf("%q is shown as %d bytes, %q", s, len(got), got)
		}
		harmless := true
		for _, r := range s {
			harmless = harmless && r >= 0x20 && (r < 0x7f || r >= 0xa0) && r != utf8.RuneError && !strings.ContainsRune(deceiving, r)
		}
		for _, r := range got {
			if r < 0x20 || r >= 0x7f && r < 0xa0 || strings.ContainsRune(deceiving, r) {
				t.Fatalf("%q is shown as %q, with %U", s, got, r)
			}
		}
		if harmless && len(s) <= maxShown && got != s {
			t.Fatalf("%q is shown as %q", s, got)
		}
		if (got == "") != (s == "") {
			t.Fatalf("%q is shown as %q", s, got)
		}
	})
}
