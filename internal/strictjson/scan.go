// Package strictjson reads JSON (RFC 8259) from untrusted sources the way a
// verifier has to: one document has one meaning, whoever reads it.
//
// It refuses what readers of this field have disagreed about: a name twice in
// one object (however it is escaped), bytes after the value, a byte order
// mark, invalid UTF-8, a lone surrogate, deep nesting. Names are compared
// byte by byte, where encoding/json would also take another case.
//
// Start with [Check] for whole documents and [Decode] for typed ones.
// [Object], [Array] and [String] walk bytes that Check has accepted.
//
// Everything here is pure and safe for concurrent use. No error keeps a
// reference to the input.
package strictjson

import (
	"fmt"
	"unicode/utf8"
)

// DefaultDepth is the nesting that [Check] allows when it is asked for 0.
const DefaultDepth = 64

// An Error says where a document breaks the rules.
type Error struct {
	Offset int    // in bytes from the start of the document
	Path   string // of the value, such as "predicate.builder.id"; empty where it is not known
	Reason string // what was found, and what was wanted
}

func (e *Error) Error() string {
	if e.Path != "" {
		return e.Path + ": " + e.Reason
	}
	return fmt.Sprintf("json: byte %d: %s", e.Offset, e.Reason)
}

// Check accepts data if it is exactly one JSON value with no duplicate names
// and at most maxDepth levels of arrays and objects. A maxDepth of 0 means
// [DefaultDepth]. The error is always an [*Error].
//
// It reads each byte once and allocates in proportion to the largest object,
// not to the document.
func Check(data []byte, maxDepth int) error {
	if maxDepth <= 0 {
		maxDepth = DefaultDepth
	}
	s := scanner{data: data, maxDepth: maxDepth}
	if len(data) == 0 {
		return s.fail("empty, want a JSON value")
	}
	if len(data) >= 3 && data[0] == 0xEF && data[1] == 0xBB && data[2] == 0xBF {
		return s.fail("byte order mark, want plain UTF-8")
	}
	s.space()
	if err := s.value(); err != nil {
		return err
	}
	s.space()
	if s.pos != len(data) {
		return s.fail("data after the value")
	}
	return nil
}

type scanner struct {
	data     []byte
	pos      int
	depth    int
	maxDepth int
}

func (s *scanner) fail(format string, args ...any) error {
	return &Error{Offset: s.pos, Reason: fmt.Sprintf(format, args...)}
}

func (s *scanner) peek() (byte, bool) {
	if s.pos < len(s.data) {
		return s.data[s.pos], true
	}
	return 0, false
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value() error {
	c, ok := s.peek()
	if !ok {
		return s.fail("cut off, want a value")
	}
	switch {
	case c == '{':
		return s.object()
	case c == '[':
		return s.array()
	case c == '"':
		_, err := s.str()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.fail("unexpected byte %#x, want a value", c)
}

func (s *scanner) word(w string) error {
	if len(s.data)-s.pos < len(w) || string(s.data[s.pos:s.pos+len(w)]) != w {
		return s.fail("want %s", w)
	}
	s.pos += len(w)
	return nil
}

func (s *scanner) enter() error {
	if s.depth++; s.depth > s.maxDepth {
		return s.fail("nested deeper than %d levels", s.maxDepth)
	}
	s.pos++
	s.space()
	return nil
}

// next consumes what follows an element: true when another one is to come.
func (s *scanner) next(closer byte) (bool, error) {
	s.space()
	c, ok := s.peek()
	switch {
	case ok && c == ',':
		s.pos++
		s.space()
		return true, nil
	case ok && c == closer:
		s.pos++
		s.depth--
		return false, nil
	case !ok:
		return false, s.fail("cut off, want , or %c", closer)
	}
	return false, s.fail("unexpected byte %#x, want , or %c", c, closer)
}

func (s *scanner) array() error {
	if err := s.enter(); err != nil {
		return err
	}
	if c, ok := s.peek(); ok && c == ']' {
		s.pos++
		s.depth--
		return nil
	}
	for {
		if err := s.value(); err != nil {
			return err
		}
		more, err := s.next(']')
		if err != nil || !more {
			return err
		}
	}
}

// Objects of up to this many members are searched for duplicates linearly,
// which is faster than a map and allocates less.
const linearNames = 12

func (s *scanner) object() error {
	if err := s.enter(); err != nil {
		return err
	}
	if c, ok := s.peek(); ok && c == '}' {
		s.pos++
		s.depth--
		return nil
	}
	var few [linearNames][]byte
	names := few[:0]
	var many map[string]struct{}
	for {
		if c, ok := s.peek(); !ok || c != '"' {
			return s.fail("want a quoted name")
		}
		start := s.pos
		name, err := s.str()
		if err != nil {
			return err
		}
		dup := false
		switch {
		case many != nil:
			_, dup = many[string(name)]
			many[string(name)] = struct{}{}
		default:
			for _, n := range names {
				dup = dup || string(n) == string(name)
			}
			names = append(names, name)
			if len(names) == linearNames {
				many = make(map[string]struct{}, 2*linearNames)
				for _, n := range names {
					many[string(n)] = struct{}{}
				}
			}
		}
		if dup {
			s.pos = start
			return s.fail("name %.64q twice in one object", name)
		}
		s.space()
		if c, ok := s.peek(); !ok || c != ':' {
			return s.fail("want : after a name")
		}
		s.pos++
		s.space()
		if err := s.value(); err != nil {
			return err
		}
		more, err := s.next('}')
		if err != nil || !more {
			return err
		}
	}
}

func (s *scanner) number() error {
	digits := func() int {
		n := 0
		for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
			s.pos++
			n++
		}
		return n
	}
	if s.data[s.pos] == '-' {
		s.pos++
	}
	first, _ := s.peek()
	n := digits()
	if n == 0 || first == '0' && n > 1 {
		return s.fail("not a JSON number")
	}
	if c, ok := s.peek(); ok && c == '.' {
		s.pos++
		if digits() == 0 {
			return s.fail("not a JSON number: no digit after the point")
		}
	}
	if c, ok := s.peek(); ok && (c == 'e' || c == 'E') {
		s.pos++
		if c, ok := s.peek(); ok && (c == '+' || c == '-') {
			s.pos++
		}
		if digits() == 0 {
			return s.fail("not a JSON number: no digit in the exponent")
		}
	}
	return nil
}

// str consumes a string and returns its decoded bytes, which alias the input
// when nothing was escaped.
func (s *scanner) str() ([]byte, error) {
	s.pos++
	start := s.pos
	var buf []byte // nil until the first escape
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			raw := s.data[start:s.pos]
			s.pos++
			if buf != nil {
				return append(buf, raw...), nil
			}
			return raw, nil
		case c == '\\':
			buf = append(buf, s.data[start:s.pos]...)
			if buf == nil {
				buf = []byte{}
			}
			var err error
			if buf, err = s.escape(buf); err != nil {
				return nil, err
			}
			start = s.pos
		case c < 0x20:
			return nil, s.fail("control character %#x in a string, want it escaped", c)
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, n := utf8.DecodeRune(s.data[s.pos:])
			if r == utf8.RuneError && n == 1 {
				return nil, s.fail("invalid UTF-8 in a string")
			}
			s.pos += n
		}
	}
	return nil, s.fail("cut off inside a string")
}

func (s *scanner) escape(buf []byte) ([]byte, error) {
	s.pos++
	c, ok := s.peek()
	if !ok {
		return nil, s.fail("cut off inside a string")
	}
	s.pos++
	switch c {
	case '"', '\\', '/':
		return append(buf, c), nil
	case 'b':
		return append(buf, '\b'), nil
	case 'f':
		return append(buf, '\f'), nil
	case 'n':
		return append(buf, '\n'), nil
	case 'r':
		return append(buf, '\r'), nil
	case 't':
		return append(buf, '\t'), nil
	case 'u':
		r, err := s.hex4()
		if err != nil {
			return nil, err
		}
		if r >= 0xDC00 && r <= 0xDFFF {
			return nil, s.fail("lone surrogate \\u%04x", r)
		}
		if r >= 0xD800 && r <= 0xDBFF {
			if s.pos+1 >= len(s.data) || s.data[s.pos] != '\\' || s.data[s.pos+1] != 'u' {
				return nil, s.fail("lone surrogate \\u%04x", r)
			}
			s.pos += 2
			low, err := s.hex4()
			if err != nil {
				return nil, err
			}
			if low < 0xDC00 || low > 0xDFFF {
				return nil, s.fail("lone surrogate \\u%04x", r)
			}
			r = 0x10000 + (r-0xD800)<<10 + (low - 0xDC00)
		}
		return utf8.AppendRune(buf, r), nil
	}
	return nil, s.fail("unknown escape \\%c", c)
}

func (s *scanner) hex4() (rune, error) {
	if len(s.data)-s.pos < 4 {
		return 0, s.fail("cut off inside a \\u escape")
	}
	var r rune
	for _, c := range s.data[s.pos : s.pos+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, s.fail("not a hexadecimal digit in a \\u escape")
		}
	}
	s.pos += 4
	return r, nil
}
