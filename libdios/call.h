/* Private to libdios: the few system calls it makes, and what several calls share. Nothing here keeps state: what a program holds is
 * in its descriptors and buffers, so that every call may be made from any thread. */
#ifndef DIOS_CALL_H
#define DIOS_CALL_H

#include <fcntl.h>
#include <stdbool.h>
#include <dios-util.h>

#define PATH_SIZE 4096   /* PATH_MAX */

#define CALL_DIRECTORY (O_RDONLY | O_DIRECTORY)
#define CALL_HEADER(call_flags) .version = DIOS_ABI_VERSION, .flags = (call_flags)

/* 0 or a negative errno. */
int call_ioctl(int fd, unsigned long number, void *argument);
/* The number of an acquire that has room for so many bytes: no more than that is copied. */
static inline unsigned long call_acquire_number(unsigned long whole, size_t size)
{
	return size < DIOS_INLINE_MAX ? DIOS_IOC_SHORT(whole, dios_ioctl_acquire, size) : whole;
}
/* Close-on-exec. */
int call_open(const char *path, int open_flags, int *ret_fd);
/* MOUNT/.dios/FOLDER/ENTRY; entry NULL: the folder itself; folder NULL: .dios. */
int call_open_dios(const char *folder, const char *entry, int open_flags, int *ret_fd);
/* The flags of open(2) that give these rights (0: read). -EINVAL: not a set of rights. */
int call_open_flags(uint32_t flags, uint32_t rights, int *ret_open_flags);
/* Closes the descriptor and returns -EACCES if it lacks one of the rights that open(2) does not ask for. */
int call_check_rights(int fd, uint32_t rights);
static inline bool call_flags_bad(uint32_t flags, uint32_t allowed) { return (flags & ~allowed) != 0; }

/* Without allocating or releasing: the id of a reference's handle; `none` if ref is NULL. */
int call_reference_id(const dios_ref *ref, uint8_t id[DIOS_ID_SIZE]);

/* dios_create, and with number DIOS_IOC_CLONE the bytes of `source` (create.c). */
int create_object(uint32_t flags, const struct dios_create_options *options, unsigned long number, const uint8_t source[DIOS_ID_SIZE],
	struct dios_name *ret_name, dios_ref *ret_ref);
/* Opens a token of any length (lookup.c). */
int lookup_open_token(uint32_t flags, const char *token, uint32_t rights, dios_ref *ret_ref);
/* The limits of the options as caveats (copy.c). */
int copy_fill_caveats(const struct dios_copy_options *options, struct dios_ioctl_token *t);

/* A file of .dios/buf/ as memory (buffer.c). */
bool buffer_id_is_zero(const uint8_t id[DIOS_ID_SIZE]);
/* A struct dios_buffer's id: of a private buffer; or zero; or all ones, where there is none but the commit must be told of. */
bool buffer_is_private(const struct dios_buffer *b);
int buffer_open(const uint8_t id[DIOS_ID_SIZE], int open_flags, int *ret_fd);
int buffer_new(int fd, uint64_t size, uint8_t ret_id[DIOS_ID_SIZE]);
void buffer_free(int fd, const uint8_t id[DIOS_ID_SIZE]);
/* What was stored into a mapping has reached the daemon. */
int buffer_flush(const uint8_t id[DIOS_ID_SIZE]);
/* For an answer without a private buffer. */
void buffer_set_held(const struct dios_ioctl_acquire *a, struct dios_buffer *b);
/* Memory of the program's own for an answer that came inside the ioctl. */
int buffer_take_inline(const struct dios_ioctl_acquire *a, struct dios_buffer *ret_buffer);
/* A mapping of the answer's private buffer, which is freed on failure. */
int buffer_take_mapped(dios_ref ref, const struct dios_ioctl_acquire *a, bool writable, struct dios_buffer *ret_buffer);
/* Gives the program's memory back; the daemon's is not touched. */
void buffer_release(struct dios_buffer *b);

#endif
