package descriptors

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// The descriptor set that protoc made of our protos; its path is in the environment.
func ours(t *testing.T) *descriptorpb.FileDescriptorSet {
	t.Helper()
	data, err := os.ReadFile(os.Getenv("WEFT_DESCRIPTORS"))
	if err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(data, set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestOurProtosAreTheWires(t *testing.T) {
	set := ours(t)
	if len(set.File) < 20 {
		t.Fatalf("only %d files", len(set.File))
	}
	differences, err := Compare(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, difference := range differences {
		t.Error(difference)
	}
}

func message(t *testing.T, set *descriptorpb.FileDescriptorSet, file, name string) *descriptorpb.DescriptorProto {
	t.Helper()
	for _, candidate := range set.File {
		for _, message := range candidate.MessageType {
			if candidate.GetName() == file && message.GetName() == name {
				return message
			}
		}
	}
	t.Fatalf("%s has no %s", file, name)
	return nil
}

func field(t *testing.T, message *descriptorpb.DescriptorProto, name string) *descriptorpb.FieldDescriptorProto {
	t.Helper()
	for _, candidate := range message.Field {
		if candidate.GetName() == name {
			return candidate
		}
	}
	t.Fatalf("%s has no %s", message.GetName(), name)
	return nil
}

func TestEachKindOfDifferenceIsSeen(t *testing.T) {
	const endpoints = "envoy/config/endpoint/v3/endpoint.proto"
	const assignment = "ClusterLoadAssignment"
	const address = "envoy/config/core/v3/address.proto"
	cases := []struct {
		name, expected string
		change         func(t *testing.T, set *descriptorpb.FileDescriptorSet)
	}{
		{"a number", "cluster_name: the number is 77, on the wire 1", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			field(t, message(t, set, endpoints, assignment), "cluster_name").Number = proto.Int32(77)
		}},
		{"a type", "cluster_name: the type is bytes, on the wire string", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			field(t, message(t, set, endpoints, assignment), "cluster_name").Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
		}},
		{"a message type", "policy: the message or enum is", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			field(t, message(t, set, endpoints, assignment), "policy").TypeName = proto.String(".envoy.config.endpoint.v3.Endpoint")
		}},
		{"a label", "endpoints: the label is optional, on the wire repeated", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			field(t, message(t, set, endpoints, assignment), "endpoints").Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		}},
		{"a JSON name", "cluster_name: the JSON name is name, on the wire clusterName", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			field(t, message(t, set, endpoints, assignment), "cluster_name").JsonName = proto.String("name")
		}},
		{"a oneof", "named_port: the oneof is , on the wire port_specifier", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			field(t, message(t, set, address, "SocketAddress"), "named_port").OneofIndex = nil
		}},
		{"an enum value", "SocketAddress.Protocol.UDP: the number is 9, on the wire 1", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			for _, value := range message(t, set, address, "SocketAddress").EnumType[0].Value {
				if value.GetName() == "UDP" {
					value.Number = proto.Int32(9)
				}
			}
		}},
		{"a field too many", "ClusterLoadAssignment.extra: not on the wire", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			extra := proto.Clone(field(t, message(t, set, endpoints, assignment), "cluster_name")).(*descriptorpb.FieldDescriptorProto)
			extra.Name, extra.JsonName, extra.Number = proto.String("extra"), proto.String("extra"), proto.Int32(99)
			into := message(t, set, endpoints, assignment)
			into.Field = append(into.Field, extra)
		}},
		{"a field too few", "ClusterLoadAssignment.cluster_name: missing", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			from := message(t, set, endpoints, assignment)
			from.Field = from.Field[1:]
		}},
		{"a message too many", "envoy.config.endpoint.v3.Invented: not on the wire", func(t *testing.T, set *descriptorpb.FileDescriptorSet) {
			for _, file := range set.File {
				if file.GetName() == endpoints {
					file.MessageType = append(file.MessageType, &descriptorpb.DescriptorProto{Name: proto.String("Invented")})
				}
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			set := ours(t)
			c.change(t, set)
			differences, err := Compare(set)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(differences, "\n"), c.expected) {
				t.Errorf("expected %q among %q", c.expected, differences)
			}
		})
	}
}
