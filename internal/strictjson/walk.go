package strictjson

import "bytes"

// A Kind is the JSON type of a value.
type Kind byte

// The kinds. Invalid is what an empty or broken value has.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	Text
	List
	Map
)

func (k Kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// KindOf tells the type of a value that [Check] has accepted, from its first
// byte.
func KindOf(raw []byte) Kind {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return Invalid
	}
	switch c := raw[0]; {
	case c == '{':
		return Map
	case c == '[':
		return List
	case c == '"':
		return Text
	case c == 't' || c == 'f':
		return Bool
	case c == 'n':
		return Null
	case c == '-' || c >= '0' && c <= '9':
		return Number
	}
	return Invalid
}

// A Member is one name and value of an object. Value aliases the input.
type Member struct {
	Name  string
	Value []byte
}

// Object returns the members of an object in the order of the document.
// The bytes must have passed [Check]; an [*Error] says that they are no object.
func Object(raw []byte) ([]Member, error) {
	s := scanner{data: raw, maxDepth: 1 << 30}
	s.space()
	if c, ok := s.peek(); !ok || c != '{' {
		return nil, s.fail("%s, want an object", KindOf(raw))
	}
	s.pos++
	s.space()
	var members []Member
	if c, ok := s.peek(); ok && c == '}' {
		return members, nil
	}
	for {
		if c, ok := s.peek(); !ok || c != '"' {
			return nil, s.fail("want a quoted name")
		}
		name, err := s.str()
		if err != nil {
			return nil, err
		}
		s.space()
		if c, ok := s.peek(); !ok || c != ':' {
			return nil, s.fail("want : after a name")
		}
		s.pos++
		s.space()
		start := s.pos
		if err := s.value(); err != nil {
			return nil, err
		}
		members = append(members, Member{Name: string(name), Value: raw[start:s.pos]})
		more, err := s.next('}')
		if err != nil {
			return nil, err
		}
		if !more {
			return members, nil
		}
	}
}

// Array returns the elements of an array, which alias the input. The bytes
// must have passed [Check]; an [*Error] says that they are no array.
func Array(raw []byte) ([][]byte, error) {
	s := scanner{data: raw, maxDepth: 1 << 30}
	s.space()
	if c, ok := s.peek(); !ok || c != '[' {
		return nil, s.fail("%s, want an array", KindOf(raw))
	}
	s.pos++
	s.space()
	var elems [][]byte
	if c, ok := s.peek(); ok && c == ']' {
		return elems, nil
	}
	for {
		start := s.pos
		if err := s.value(); err != nil {
			return nil, err
		}
		elems = append(elems, raw[start:s.pos])
		more, err := s.next(']')
		if err != nil {
			return nil, err
		}
		if !more {
			return elems, nil
		}
	}
}

// String returns the decoded text of a string. The bytes must have passed
// [Check]; an [*Error] says that they are no string.
func String(raw []byte) (string, error) {
	s := scanner{data: raw, maxDepth: 1}
	s.space()
	if c, ok := s.peek(); !ok || c != '"' {
		return "", s.fail("%s, want a string", KindOf(raw))
	}
	text, err := s.str()
	return string(text), err
}
