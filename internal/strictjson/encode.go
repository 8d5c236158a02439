package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// Marshal encodes v with the bytes that signatures need: the order of struct
// fields and sorted map keys, no HTML escaping, no line feed at the end.
// A [json.RawMessage] keeps its numbers and escapes, and loses white space only.
// Text that is not valid UTF-8 is an error, where encoding/json would silently
// replace it.
func Marshal(v any) ([]byte, error) {
	if err := validText(reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func validText(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		if !utf8.ValidString(v.String()) {
			return fmt.Errorf("text %.64q is not valid UTF-8", v.String())
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return validText(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				if err := validText(v.Field(i)); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type() == rawType {
			if v.Len() > 0 && !utf8.Valid(v.Bytes()) {
				return errors.New("raw JSON is not valid UTF-8")
			}
			return nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil
		}
		for i := range v.Len() {
			if err := validText(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := validText(it.Key()); err != nil {
				return err
			}
			if err := validText(it.Value()); err != nil {
				return err
			}
		}
	}
	return nil
}
