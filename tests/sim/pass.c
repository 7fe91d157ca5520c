/* The kernel, which reads and writes heads past the daemon: through files that it was let to open, through mappings that outlive them, and
 * while the daemon is dead. */
#include "tests/sim/ops.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool sim_is_written(const struct sim *s, unsigned node, uint64_t life)
{
	for (unsigned i = 0; i < SIM_HANDLES; i++)
		if (s->handles[i].file && s->handles[i].file_writes && s->handles[i].node == node && s->handles[i].life == life) return true;
	for (unsigned i = 0; i < SIM_MAPPINGS; i++)
		if (s->mappings[i].file && s->mappings[i].node == node && s->mappings[i].life == life) return true;
	return false;
}

static int open_past(struct sim *s, struct sim_handle *h)
{
	bool write = sim_below(s, 3) != 0;
	int r = reference_pass(h->reference, write, false, NULL);
	if (disk_sim_crashed(s->disk) || r == -EOPNOTSUPP || (r == -ENOSPC && s->disk_full)) return 0;
	if (r < 0) return sim_fail(s, "opening past the daemon for %s gave %d", write ? "writing" : "reading", r);
	s->passes[h->node]++;
	if (!h->orphan) history_look(s, h->node);
	uint64_t ino = reference_ino(h->reference);
	char path[64];
	snprintf(path, sizeof(path), "heads/%02x/%016" PRIx64, (unsigned)((ino * 0x9e3779b97f4a7c15ull) >> 56), ino);
	r = disk_open(s->disk, path, write ? O_RDWR : O_RDONLY, &h->file);
	h->file_writes = write;
	if (r < 0 && !(r == -ENOENT && !write)) return sim_fail(s, "the head cannot be opened: %d", r);
	return 0;
}

/* What the kernel reads is what the daemon would have read. */
static int read_past(struct sim *s, struct sim_handle *h)
{
	struct content *expected = handle_content(s, h);
	_cleanup_free_ uint8_t *bytes = malloc(expected->size + 1);
	ssize_t n = disk_pread(h->file, bytes, expected->size + 1, 0);
	if (n != (ssize_t)expected->size) return sim_fail(s, "a read past the daemon gave %zd of %zu bytes", n, expected->size);
	return memcmp(bytes, expected->bytes, expected->size) == 0 ? 0 : sim_fail(s, "a read past the daemon gave wrong bytes");
}

static int write_file(struct sim *s, struct disk_file *file, struct sim_handle *h)
{
	struct content *before = handle_content(s, h);
	size_t size = 1 + sim_below(s, sim_below(s, 2) ? 3000 : 30000);
	uint64_t offset = pick_offset(s, before->size);
	if (offset + size > SIM_BLOB_MAX || s->disk_full) return 0;
	_cleanup_free_ uint8_t *bytes = malloc(size);
	random_fill(&s->random.source, bytes, size);
	int r = disk_pwrite(file, bytes, size, offset);
	if (disk_sim_crashed(s->disk)) {
		note_torn(s, h, offset, bytes, size);
		return 0;
	}
	if (r < 0) return sim_fail(s, "a write past the daemon gave %d", r);
	struct model scratch;
	scratch_init(&scratch, h->node, before);
	model_write(&scratch, h->node, offset, bytes, size);
	if (h->orphan) {
		blob_changed(s, h, &scratch, h->node);
	} else {
		bool dead = !s->objects;
		model_set_content(&s->model, h->node, content_ref(scratch.nodes[h->node].content));
		s->loose[h->node] = true;
		if (!dead) history_content(s, h->node);
	}
	model_done(&scratch);
	return 0;
}

static int write_mapped(struct sim *s)
{
	struct sim_mapping *m = &s->mappings[sim_below(s, SIM_MAPPINGS)];
	if (!m->file) return 0;
	bool gone = s->model.nodes[m->node].life != m->life || s->model.nodes[m->node].kind != MODEL_FILE;
	if (gone || sim_below(s, 6) == 0) {
		disk_close(m->file);
		m->file = NULL;
		return 0;
	}
	struct sim_handle h = { .node = m->node, .life = m->life };
	return write_file(s, m->file, &h);
}

/* The descriptor is closed, the mapping stays. */
static void map_and_close(struct sim *s, struct sim_handle *h)
{
	struct sim_mapping *m = &s->mappings[sim_below(s, SIM_MAPPINGS)];
	if (!m->file && h->file_writes && !h->orphan) {
		*m = (struct sim_mapping){ .file = h->file, .node = h->node, .life = h->life };
		h->file = NULL;
	}
	sim_close_handle(h);
}

int op_pass(struct sim *s)
{
	struct sim_handle *h = pick_handle(s);
	if (!h || sim_below(s, 6) == 0) return write_mapped(s);
	if (!h->file) return reference_passes(h->reference) ? 0 : open_past(s, h);
	if (sim_below(s, 12) == 0) {
		map_and_close(s, h);
		return 0;
	}
	return h->file_writes && sim_below(s, 2) ? write_file(s, h->file, h) : read_past(s, h);
}

/* ---- the daemon is dead -------------------------------------------------------------------------------------------- */

void sim_keep_mappings(struct sim *s)
{
	for (unsigned i = 0; i < SIM_HANDLES; i++) {
		struct sim_handle *h = &s->handles[i];
		if (!h->reference || !h->file || !h->file_writes || h->orphan) continue;
		struct sim_mapping *m = &s->mappings[sim_below(s, SIM_MAPPINGS)];
		if (m->file) continue;
		*m = (struct sim_mapping){ .file = h->file, .node = h->node, .life = h->life };
		h->file = NULL;
	}
}

void sim_end_mappings(struct sim *s)
{
	for (unsigned i = 0; i < SIM_MAPPINGS; i++) {
		if (s->mappings[i].file) disk_close(s->mappings[i].file);
		s->mappings[i].file = NULL;
	}
}

int sim_survivors_write(struct sim *s)
{
	for (unsigned i = 0; i < SIM_MAPPINGS; i++) {
		struct sim_mapping *m = &s->mappings[i];
		struct sim_handle h = { .node = m->node, .life = m->life };
		if (!m->file || s->model.nodes[m->node].life != m->life || s->model.nodes[m->node].kind != MODEL_FILE || sim_below(s, 2)) continue;
		/* What was interrupted lies below: then nothing says which bytes there may be. */
		if ((s->torn.valid && s->torn.life == m->life) || (s->changed.valid && s->changed.life == m->life)) continue;
		int r = write_file(s, m->file, &h);
		if (r < 0) return r;
		history_survived(s, m->node);
	}
	return 0;
}
