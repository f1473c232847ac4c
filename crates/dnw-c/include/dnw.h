// Loads compiled networks and predicts with them. Generated from the sources of dnw-c.

#ifndef DNW_H
#define DNW_H

#include <stddef.h>

// What became of a call. Values never change; later versions may add some.
typedef enum {
  // It succeeded.
  DNW_STATUS_OK = 0,
  // A pointer is null.
  DNW_STATUS_NULL = 1,
  // A file cannot be opened or read.
  DNW_STATUS_IO = 2,
  // The bytes are no model, were damaged, or have a newer format.
  DNW_STATUS_FILE = 3,
  // The model cannot be executed.
  DNW_STATUS_PLAN = 4,
  // A length or an index does not fit the model.
  DNW_STATUS_LENGTH = 5,
  // A path is not valid text.
  DNW_STATUS_PATH = 6,
  // The library failed inside: a bug, please report it.
  DNW_STATUS_PANIC = 7,
} dnw_status;

// A compiled network. Any number of threads can use one at the same time.
typedef struct dnw_model dnw_model;

// Executes a model, with memory for the feature maps of one image. One thread at a time uses it; several sessions share their model.
typedef struct dnw_session dnw_session;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What went wrong in the last call of this thread that failed: one sentence in UTF-8, empty if none has failed. It stays valid until the next
// call that fails on this thread, or the thread ends.
const char *dnw_last_error(void);

// Loads a file that `dnw compile` wrote, and writes a handle to `*model`, which `dnw_model_free` frees. After a failure `*model` is null.
// `path` is UTF-8 (on Unix any bytes).
//
// Required: `path` is null or a string with a zero byte at its end; `model` is null or can be written.
dnw_status dnw_model_load(const char *path,
                          dnw_model **model);

// Reads a model from the bytes of its file, which are not needed afterwards. Otherwise as `dnw_model_load`.
//
// Required: `bytes` is null or has `length` bytes; `model` is null or can be written.
dnw_status dnw_model_from_bytes(const void *bytes, size_t length, dnw_model **model);

// Frees a model. Its sessions can still be used. Null is ignored.
//
// Required: `model` is null or from this library, and is not used afterwards.
void dnw_model_free(dnw_model *model);

// Writes channels, height and width of an image to `shape[0]`, `shape[1]` and `shape[2]`.
//
// Required: `model` is null or valid; `shape` is null or has room for three numbers.
dnw_status dnw_model_shape(const dnw_model *model, size_t *shape);

// The numbers that an image results in: the classes of a classifier. 0 if `model` is null.
//
// Required: `model` is null or valid.
size_t dnw_model_outputs(const dnw_model *model);

// Writes how a channel is normalised: an input is `(pixel - *mean) / *deviation`, where pixels lie from 0 to 1.
//
// Required: `model` is null or valid; `mean` and `deviation` are null or can be written.
dnw_status dnw_model_channel(const dnw_model *model, size_t channel, float *mean, float *deviation);

// How pictures of another size become inputs: their shorter side is resized to so many pixels, and the centre is cropped. 0 for pictures that
// are resized to the input's height and width, and if `model` is null.
//
// Required: `model` is null or valid.
size_t dnw_model_resize(const dnw_model *model);

// The name of an output, in UTF-8, valid as long as the model. Null if it has none.
//
// Required: `model` is null or valid.
const char *dnw_model_class(const dnw_model *model, size_t output);

// Makes a session that computes each image with so many threads, and writes a handle to `*session`, which `dnw_session_free` frees. After a
// failure `*session` is null. Results do not depend on the number of threads; 0 is 1.
//
// Required: `model` is null or valid; `session` is null or can be written.
dnw_status dnw_session_new(const dnw_model *model,
                           size_t threads,
                           dnw_session **session);

// Computes a batch: `input` is `[images, channels, height, width]`, normalised as `dnw_model_channel` says, `output` is
// `[images, outputs]`. Lengths are in numbers, not bytes. It allocates no memory.
//
// Required: `session` is null or valid, and no other thread uses it; `input` is null or has `input_length` numbers; `output` is null or has room for
// `output_length` numbers, of which none is part of `input`.
dnw_status dnw_session_run(dnw_session *session,
                           const float *input,
                           size_t input_length,
                           float *output,
                           size_t output_length);

// Frees a session. Null is ignored.
//
// Required: `session` is null or from this library, and is not used afterwards.
void dnw_session_free(dnw_session *session);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DNW_H */
