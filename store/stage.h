/* The staging log: bytes that a write() has handed over and that are not yet part of an object. A write returns after
 * its record is in this log (page cache: it survives the daemon, not the machine), so it is staging area and range log
 * in one, appended to sequentially, in recycled segments.
 *
 * Each record has a sequence number, never used twice on this node. The command that commits an inode's bytes carries
 * the highest number it contains, and the inode's record keeps it: after a crash of the daemon records at or below that
 * number are skipped, the others are the uncommitted bytes (rule D4). A segment of another boot of the machine is discarded as
 * a whole when the log is opened: its bytes had no promise to survive. Records with a bad checksum end a segment.
 *
 * Nothing is synced but the numbers that a start reserves: an append is one write. Not thread-safe per inode, thread-safe
 * across inodes; stage_replay comes before anything else is called. */
#ifndef DIOS_STORE_STAGE_H
#define DIOS_STORE_STAGE_H

#include "store/disk.h"

enum stage_kind {
	STAGE_DATA = 1,   /* bytes for [offset, offset + size) follow in the record */
	STAGE_TAIL,       /* [offset, offset + size) was written into the inode's head, past the committed size */
	STAGE_HOLE,       /* [offset, offset + size) reads as zeros */
	STAGE_SIZE,       /* the uncommitted size is now `offset` (growth without bytes) */
};

#define STAGE_RECORD_MAX (1 << 20)   /* data bytes in a record: the largest FUSE write */

struct stage;
struct stage_place { uint32_t segment; uint32_t offset; };   /* where a record's data bytes are */
struct stage_record { uint64_t ino, seq; enum stage_kind kind; uint64_t offset, size; int64_t time_ns;
	uint32_t crc; /* STAGE_TAIL: CRC32C of the bytes in the head; 0: not known */ struct stage_place place; };

/* boot_id: 16 bytes that identify this boot of the machine. -EBADMSG: the file of numbers is damaged, or gone while there are
 * segments, or in the boot that wrote it a segment's header is damaged; -ENOTSUP: made by a newer version. */
int stage_open(struct disk *disk, const char *folder, const uint8_t boot_id[16], struct stage **ret_stage);
void stage_close(struct stage *stage);
/* Calls back for each record left by an earlier daemon of this boot, in order of seq. A negative return ends it and is returned. each()
 * may read and release records, the one that it is given too. -EBADMSG: a record that others follow is damaged. */
int stage_replay(struct stage *stage, int (*each)(void *arg, const struct stage_record *record), void *arg);
/* Appends one record and fills in seq and place. data is NULL unless STAGE_DATA. -ENOSPC, -EIO: nothing was staged. */
int stage_append(struct stage *stage, struct stage_record *record, const void *data);
/* size bytes of a record that is not released, from `skip` bytes into its data on. -EIO if they are not what was appended. */
int stage_read(struct stage *stage, struct stage_place place, uint64_t skip, void *data, size_t size);
/* The record's bytes are not needed any more (committed or overwritten): when all of a segment's are, it is recycled.
 * Call once for each record, also the replayed ones. */
void stage_release(struct stage *stage, struct stage_place place);
uint64_t stage_bytes(struct stage *stage);   /* bytes of live segments: the bound that makes writers commit early */

#endif
