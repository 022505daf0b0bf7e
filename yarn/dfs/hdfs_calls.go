package dfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	pb "github.com/flott-dev/flott/yarn/proto/hdfspb"
)

// maxListing bounds one directory; HDFS itself allows 2^20 entries by default.
const maxListing = 1 << 22

// NameNodeCaller makes one metadata call (Java: ClientProtocol) and fills resp, trying again where that is safe: a mutating call is
// repeated only under the same call id, by which the NameNode recognises it.
type NameNodeCaller interface {
	Call(ctx context.Context, method string, req, resp proto.Message) error
}

// failoverCaller asks whichever NameNode is active.
type failoverCaller struct {
	failover *ipc.Failover
	peer     ipc.Peer // the address is the failover's
}

func (c failoverCaller) Call(ctx context.Context, method string, req, resp proto.Message) error {
	return c.failover.Call(ctx, c.peer, method, req, resp)
}

func permBits(m fs.FileMode) *pb.FsPermissionProto {
	v := uint32(m.Perm())
	if m&fs.ModeSticky != 0 {
		v |= 0o1000
	}
	return pb.FsPermissionProto_builder{Perm: &v}.Build()
}

func fileMode(p *pb.FsPermissionProto) fs.FileMode {
	m := fs.FileMode(p.GetPerm() & 0o777)
	if p.GetPerm()&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

func infoOf(p string, s *pb.HdfsFileStatusProto) FileInfo {
	out := FileInfo{Path: p, IsDir: s.GetFileType() == pb.HdfsFileStatusProto_IS_DIR, ModTimeMillis: int64(s.GetModificationTime()),
		Perm: fileMode(s.GetPermission()), Owner: s.GetOwner(), Group: s.GetGroup(), FileID: s.GetFileId()}
	if !out.IsDir {
		out.Size, out.BlockSize, out.Replication = int64(s.GetLength()), int64(s.GetBlocksize()), int(s.GetBlockReplication())
	}
	return out
}

// supported refuses what the byte client would read as garbage.
func supported(ec *pb.ErasureCodingPolicyProto, enc *pb.FileEncryptionInfoProto) error {
	switch {
	case enc != nil:
		return fmt.Errorf("the file lies in an encryption zone (key %s): %w", enc.GetKeyName(), ErrUnsupported)
	case ec != nil && ec.GetId() != 0: // 0 is plain replication
		return fmt.Errorf("the file is erasure-coded (%s): %w", ec.GetName(), ErrUnsupported)
	}
	return nil
}

// status is getFileInfo; the answer for an absent path has no status.
func (h *HDFS) status(ctx context.Context, p string) (*pb.HdfsFileStatusProto, error) {
	var resp pb.GetFileInfoResponseProto
	err := h.calls.Call(ctx, "getFileInfo", pb.GetFileInfoRequestProto_builder{Src: &p}.Build(), &resp)
	if err != nil {
		return nil, err
	}
	if !resp.HasFs() {
		return nil, fs.ErrNotExist
	}
	return resp.GetFs(), nil
}

// Stat implements FS by getFileInfo.
func (h *HDFS) Stat(ctx context.Context, p string) (FileInfo, error) {
	p, err := cleanPath("stat", p)
	if err != nil {
		return FileInfo{}, err
	}
	s, err := h.status(ctx, p)
	if err != nil {
		return FileInfo{}, h.fail("stat", p, "", err)
	}
	return infoOf(p, s), nil
}

// List implements FS by getListing, page by page; the NameNode sorts by name.
func (h *HDFS) List(ctx context.Context, dir string) ([]FileInfo, error) {
	dir, err := cleanPath("list", dir)
	if err != nil {
		return nil, err
	}
	var out []FileInfo
	after := []byte{}
	for {
		var resp pb.GetListingResponseProto
		err := h.calls.Call(ctx, "getListing", pb.GetListingRequestProto_builder{Src: &dir, StartAfter: after,
			NeedLocation: proto.Bool(false)}.Build(), &resp)
		if err != nil {
			return nil, h.fail("list", dir, "", err)
		}
		if !resp.HasDirList() {
			return nil, h.fail("list", dir, "", fs.ErrNotExist)
		}
		page := resp.GetDirList().GetPartialListing()
		for _, s := range page {
			if len(s.GetPath()) == 0 { // the listing of a file is the file itself
				return nil, h.fail("list", dir, "", ErrNotDirectory)
			}
			out = append(out, infoOf(path.Join(dir, string(s.GetPath())), s))
		}
		if resp.GetDirList().GetRemainingEntries() == 0 || len(page) == 0 {
			return out, nil
		}
		if len(out) > maxListing {
			return nil, h.fail("list", dir, "", fmt.Errorf("more than %d entries: %w", maxListing, ErrTooMany))
		}
		after = page[len(page)-1].GetPath()
	}
}

// Rename implements FS by rename2 without overwriting.
func (h *HDFS) Rename(ctx context.Context, from, to string) error {
	from, err := cleanPath("rename", from)
	if err != nil {
		return err
	}
	if to, err = cleanPath("rename", to); err != nil {
		return err
	}
	err = h.calls.Call(ctx, "rename2", pb.Rename2RequestProto_builder{Src: &from, Dst: &to, OverwriteDest: proto.Bool(false)}.Build(),
		&pb.Rename2ResponseProto{})
	err = h.fail("rename", from, to, err)
	var e *Error
	if errors.As(err, &e) && e.Kind == nil && ipc.Refused(e.Err) {
		// For a file and a directory in each other's way the NameNode has only a java.io.IOException.
		if there, serr := Exists(ctx, h, to); serr == nil && there {
			e.Kind = fs.ErrExist
		}
	}
	return err
}

// Mkdir implements FS. mkdirs counts an existing directory as success, so this looks first: of two callers at once both may succeed.
func (h *HDFS) Mkdir(ctx context.Context, p string, perm fs.FileMode) error {
	p, err := cleanPath("mkdir", p)
	if err != nil {
		return err
	}
	switch there, err := Exists(ctx, h, p); {
	case err != nil:
		return h.fail("mkdir", p, "", err)
	case there:
		return h.fail("mkdir", p, "", fs.ErrExist)
	}
	return h.fail("mkdir", p, "", h.mkdirs(ctx, p, perm, false))
}

// MkdirAll implements FS.
func (h *HDFS) MkdirAll(ctx context.Context, p string, perm fs.FileMode) error {
	p, err := cleanPath("mkdir", p)
	if err != nil {
		return err
	}
	if err = h.mkdirs(ctx, p, perm, true); remoteKind(err) == fs.ErrExist { // only a file is in the way of mkdirs
		return &Error{Op: "mkdir", Path: p, User: h.cfg.User, Kind: ErrNotDirectory, Err: err}
	}
	return h.fail("mkdir", p, "", err)
}

func (h *HDFS) mkdirs(ctx context.Context, p string, perm fs.FileMode, parents bool) error {
	var resp pb.MkdirsResponseProto
	err := h.calls.Call(ctx, "mkdirs", pb.MkdirsRequestProto_builder{Src: &p, Masked: permBits(perm), CreateParent: &parents}.Build(), &resp)
	if err == nil && !resp.GetResult() {
		err = fmt.Errorf("the name node made no directory")
	}
	return err
}

// Delete implements FS.
func (h *HDFS) Delete(ctx context.Context, p string, recursive bool) error {
	p, err := cleanPath("delete", p)
	if err != nil {
		return err
	}
	if p == "/" {
		return h.fail("delete", p, "", fmt.Errorf("the root directory: %w", fs.ErrInvalid))
	}
	var resp pb.DeleteResponseProto
	err = h.calls.Call(ctx, "delete", pb.DeleteRequestProto_builder{Src: &p, Recursive: &recursive}.Build(), &resp)
	if err == nil && !resp.GetResult() {
		err = fs.ErrNotExist
	}
	return h.fail("delete", p, "", err)
}

// SetPermission implements FS.
func (h *HDFS) SetPermission(ctx context.Context, p string, perm fs.FileMode) error {
	p, err := cleanPath("set permission", p)
	if err != nil {
		return err
	}
	err = h.calls.Call(ctx, "setPermission", pb.SetPermissionRequestProto_builder{Src: &p, Permission: permBits(perm)}.Build(),
		&pb.SetPermissionResponseProto{})
	return h.fail("set permission", p, "", err)
}

// locate is getBlockLocations. It checks the permission to read, which getFileInfo does not.
func (h *HDFS) locate(ctx context.Context, p string, off, length int64) (*pb.LocatedBlocksProto, error) {
	var resp pb.GetBlockLocationsResponseProto
	err := h.calls.Call(ctx, "getBlockLocations", pb.GetBlockLocationsRequestProto_builder{Src: &p, Offset: proto.Uint64(uint64(off)),
		Length: proto.Uint64(uint64(length))}.Build(), &resp)
	if err != nil {
		return nil, err
	}
	if !resp.HasLocations() {
		return nil, fs.ErrNotExist
	}
	return resp.GetLocations(), nil
}

// BlockLocations implements Locator. Hosts are the names by which the DataNodes registered.
func (h *HDFS) BlockLocations(ctx context.Context, p string, off, length int64) ([]BlockLocation, error) {
	p, err := cleanPath("locate", p)
	if err == nil && (off < 0 || length < 0) {
		err = &Error{Op: "locate", Path: p, Kind: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	l, err := h.locate(ctx, p, off, length)
	if err != nil {
		return nil, h.fail("locate", p, "", err)
	}
	out := make([]BlockLocation, 0, len(l.GetBlocks()))
	for _, b := range l.GetBlocks() {
		loc := BlockLocation{Offset: int64(b.GetOffset()), Length: int64(b.GetB().GetNumBytes())}
		for _, d := range b.GetLocs() {
			loc.Hosts = append(loc.Hosts, d.GetId().GetHostName())
			loc.Racks = append(loc.Racks, d.GetLocation())
		}
		out = append(out, loc)
	}
	return out, nil
}

// defaults is getServerDefaults: block size and replication for files that do not say.
func (h *HDFS) defaults(ctx context.Context) (*pb.FsServerDefaultsProto, error) {
	var resp pb.GetServerDefaultsResponseProto
	err := h.calls.Call(ctx, "getServerDefaults", &pb.GetServerDefaultsRequestProto{}, &resp)
	return resp.GetServerDefaults(), err
}

// closed is isFileClosed: the last block is complete and nobody holds the lease.
func (h *HDFS) closed(ctx context.Context, p string) (bool, error) {
	var resp pb.IsFileClosedResponseProto
	err := h.calls.Call(ctx, "isFileClosed", pb.IsFileClosedRequestProto_builder{Src: &p}.Build(), &resp)
	return resp.GetResult(), err
}

// complete is what a lease holder may do; the empty file of somebody else stays untouched.
func (h *HDFS) complete(ctx context.Context, p, client string) error {
	var resp pb.CompleteResponseProto
	err := h.calls.Call(ctx, "complete", pb.CompleteRequestProto_builder{Src: &p, ClientName: &client}.Build(), &resp)
	if err == nil && !resp.GetResult() {
		err = fmt.Errorf("the file is not complete")
	}
	return err
}
