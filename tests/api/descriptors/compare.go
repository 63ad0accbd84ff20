// Package descriptors shows that our text of the wire's protos says what the published one says.
package descriptors

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Compare returns one line for each way in which ours differs from what is registered: messages, fields and enum
// values must be the same in both directions; a whole file or package of theirs may be missing from ours.
func Compare(ours *descriptorpb.FileDescriptorSet) ([]string, error) {
	files, err := protodesc.NewFiles(ours)
	if err != nil {
		return nil, err
	}
	c := &comparison{}
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(file.Path(), "google/protobuf/") {
			c.file(file)
		}
		return true
	})
	return c.differences, nil
}

// Behind a field's name that is a word of C++20's, for which Debian's protoc has no remedy: `requires_`. Its JSON name
// must still be the published one.
const taken = "_"

type comparison struct {
	differences []string
}

func (c *comparison) differ(format string, arguments ...any) {
	c.differences = append(c.differences, fmt.Sprintf(format, arguments...))
}

func (c *comparison) same(what any, property string, ours, theirs any) {
	if ours != theirs {
		c.differ("%v: %s is %v, on the wire %v", what, property, ours, theirs)
	}
}

func find[T protoreflect.Descriptor](c *comparison, name protoreflect.FullName) (found T, ok bool) {
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err == nil {
		found, ok = descriptor.(T)
	}
	if !ok {
		c.differ("%s: not on the wire", name)
	}
	return found, ok
}

func (c *comparison) file(ours protoreflect.FileDescriptor) {
	theirs, err := protoregistry.GlobalFiles.FindFileByPath(ours.Path())
	if err != nil {
		c.differ("%s: no such file is published", ours.Path())
		return
	}
	c.same(ours.Path(), "package", ours.Package(), theirs.Package())
	c.messages(ours.Messages(), theirs.Messages())
	c.enums(ours.Enums(), theirs.Enums())
	for i := range theirs.Services().Len() {
		service := theirs.Services().Get(i)
		if ours.Services().ByName(service.Name()) == nil {
			c.differ("%s: missing", service.FullName())
		}
	}
	for i := range ours.Services().Len() {
		c.service(ours.Services().Get(i))
	}
}

func (c *comparison) messages(ours, theirs protoreflect.MessageDescriptors) {
	for i := range theirs.Len() {
		if ours.ByName(theirs.Get(i).Name()) == nil {
			c.differ("%s: missing", theirs.Get(i).FullName())
		}
	}
	for i := range ours.Len() {
		c.message(ours.Get(i))
	}
}

func (c *comparison) message(ours protoreflect.MessageDescriptor) {
	theirs, ok := find[protoreflect.MessageDescriptor](c, ours.FullName())
	if !ok {
		return
	}
	c.same(ours.FullName(), "being a map's entry", ours.IsMapEntry(), theirs.IsMapEntry())
	for i := range theirs.Fields().Len() {
		field := theirs.Fields().Get(i)
		if ours.Fields().ByName(field.Name()) == nil && ours.Fields().ByName(field.Name()+taken) == nil {
			c.differ("%s: missing", field.FullName())
		}
	}
	for i := range ours.Fields().Len() {
		field := ours.Fields().Get(i)
		other := theirs.Fields().ByName(field.Name())
		if other == nil {
			other = theirs.Fields().ByName(protoreflect.Name(strings.TrimSuffix(string(field.Name()), taken)))
		}
		if other == nil {
			c.differ("%s: not on the wire", field.FullName())
		} else {
			c.field(field, other)
		}
	}
	for i := range theirs.ReservedRanges().Len() {
		for number := theirs.ReservedRanges().Get(i)[0]; number < theirs.ReservedRanges().Get(i)[1]; number++ {
			if !ours.ReservedRanges().Has(number) {
				c.differ("%s: the number %d is not reserved", ours.FullName(), number)
			}
		}
	}
	c.messages(ours.Messages(), theirs.Messages())
	c.enums(ours.Enums(), theirs.Enums())
}

func typeName(field protoreflect.FieldDescriptor) protoreflect.FullName {
	if field.Message() != nil {
		return field.Message().FullName()
	}
	if field.Enum() != nil {
		return field.Enum().FullName()
	}
	return ""
}

func oneofName(field protoreflect.FieldDescriptor) protoreflect.Name {
	if field.ContainingOneof() == nil {
		return ""
	}
	return field.ContainingOneof().Name()
}

func (c *comparison) field(ours, theirs protoreflect.FieldDescriptor) {
	name := ours.FullName()
	c.same(name, "the number", ours.Number(), theirs.Number())
	c.same(name, "the type", ours.Kind(), theirs.Kind())
	c.same(name, "the message or enum", typeName(ours), typeName(theirs))
	c.same(name, "the label", ours.Cardinality(), theirs.Cardinality())
	c.same(name, "being packed", ours.IsPacked(), theirs.IsPacked())
	c.same(name, "having presence", ours.HasPresence(), theirs.HasPresence())
	c.same(name, "the JSON name", ours.JSONName(), theirs.JSONName())
	c.same(name, "the oneof", oneofName(ours), oneofName(theirs))
	deprecated := func(field protoreflect.FieldDescriptor) bool {
		return field.Options().(*descriptorpb.FieldOptions).GetDeprecated()
	}
	c.same(name, "being deprecated", deprecated(ours), deprecated(theirs))
}

func (c *comparison) enums(ours, theirs protoreflect.EnumDescriptors) {
	for i := range theirs.Len() {
		if ours.ByName(theirs.Get(i).Name()) == nil {
			c.differ("%s: missing", theirs.Get(i).FullName())
		}
	}
	for i := range ours.Len() {
		enum := ours.Get(i)
		other, ok := find[protoreflect.EnumDescriptor](c, enum.FullName())
		if !ok {
			continue
		}
		for j := range other.Values().Len() {
			if value := other.Values().Get(j); enum.Values().ByName(value.Name()) == nil {
				c.differ("%s.%s: missing", enum.FullName(), value.Name())
			}
		}
		for j := range enum.Values().Len() {
			value := enum.Values().Get(j)
			if same := other.Values().ByName(value.Name()); same == nil {
				c.differ("%s.%s: not on the wire", enum.FullName(), value.Name())
			} else {
				c.same(fmt.Sprintf("%s.%s", enum.FullName(), value.Name()), "the number", value.Number(), same.Number())
			}
		}
	}
}

func (c *comparison) service(ours protoreflect.ServiceDescriptor) {
	theirs, ok := find[protoreflect.ServiceDescriptor](c, ours.FullName())
	if !ok {
		return
	}
	c.same(ours.FullName(), "the number of methods", ours.Methods().Len(), theirs.Methods().Len())
	for i := range ours.Methods().Len() {
		method := ours.Methods().Get(i)
		other := theirs.Methods().ByName(method.Name())
		if other == nil {
			c.differ("%s: not on the wire", method.FullName())
			continue
		}
		c.same(method.FullName(), "the input", method.Input().FullName(), other.Input().FullName())
		c.same(method.FullName(), "the output", method.Output().FullName(), other.Output().FullName())
		c.same(method.FullName(), "streaming in", method.IsStreamingClient(), other.IsStreamingClient())
		c.same(method.FullName(), "streaming out", method.IsStreamingServer(), other.IsStreamingServer())
	}
}
