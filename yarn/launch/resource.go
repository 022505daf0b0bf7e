package launch

import (
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
)

// ResourceType says what the NodeManager does with a downloaded file. Java: LocalResourceType.
type ResourceType int32

// Resource types. An archive is unpacked; its link name becomes a directory.
const (
	Archive ResourceType = ResourceType(yarnpb.LocalResourceTypeProto_ARCHIVE)
	File    ResourceType = ResourceType(yarnpb.LocalResourceTypeProto_FILE)
)

// Visibility says who shares the NodeManager's copy. Java: LocalResourceVisibility.
type Visibility int32

// Visibilities. Public needs a file that everybody may read, under directories that everybody may enter.
const (
	Public      Visibility = Visibility(yarnpb.LocalResourceVisibilityProto_PUBLIC)
	Private     Visibility = Visibility(yarnpb.LocalResourceVisibilityProto_PRIVATE)     // all applications of the user
	Application Visibility = Visibility(yarnpb.LocalResourceVisibilityProto_APPLICATION) // this application
)

// Resource is a file that the NodeManager downloads before the start. Java: LocalResource. Size and time must be
// exactly those of the file system, or localisation fails.
type Resource struct {
	URI           string // scheme://authority/path as Hadoop writes it: the path is not percent-encoded
	Size          int64  // bytes
	ModTimeMillis int64  // modification time, Unix milliseconds
	Type          ResourceType
	Visibility    Visibility
}

func (r Resource) validate(link string) error {
	if link == "" || path.IsAbs(link) || path.Clean(link) != link || link == ".." || strings.HasPrefix(link, "../") ||
		strings.ContainsAny(link, "\x00\n\"`$\\") {
		return fmt.Errorf("launch: %q is no link name for a local resource", link)
	}
	if r.Type == 0 || r.Visibility == 0 {
		return fmt.Errorf("launch: local resource %s has no type or visibility", link)
	}
	return nil
}

// Proto is the resource on the wire.
func (r Resource) Proto() (*yarnpb.LocalResourceProto, error) {
	u, err := toURL(r.URI)
	if err != nil {
		return nil, err
	}
	return yarnpb.LocalResourceProto_builder{
		Resource:   u,
		Size:       &r.Size,
		Timestamp:  &r.ModTimeMillis,
		Type:       yarnpb.LocalResourceTypeProto(r.Type).Enum(),
		Visibility: yarnpb.LocalResourceVisibilityProto(r.Visibility).Enum(),
	}.Build(), nil
}

// toURL splits a Hadoop path. The port is -1 when there is none: an absent field would read as 0.
func toURL(uri string) (*yarnpb.URLProto, error) {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || scheme == "" {
		return nil, fmt.Errorf("%q has no scheme", uri)
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return nil, fmt.Errorf("%q has no path", uri)
	}
	authority, file := rest[:slash], rest[slash:]
	b := yarnpb.URLProto_builder{Scheme: &scheme, Port: proto.Int32(-1), File: &file}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		b.UserInfo = proto.String(authority[:at])
		authority = authority[at+1:]
	}
	if host, digits, err := net.SplitHostPort(authority); err == nil {
		port, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return nil, errors.New("port of " + strconv.Quote(uri) + " is no number")
		}
		authority, b.Port = host, proto.Int32(int32(port))
	}
	if authority != "" {
		b.Host = &authority
	}
	return b.Build(), nil
}
