// A Vulkan layer that counts the kernel launches of a program, and the bytes of the buffers that they read and write.
//
// `cargo xtask gpu-traffic` compiles and loads it. When the file $DNW_TRAFFIC.ask appears, the counts so far are written to $DNW_TRAFFIC as
// JSON, and the file is removed.
//
// Each launch reads the whole range of every buffer that its shader loads from, once, and writes the whole range of every buffer that it
// stores to, once. That is the traffic of a kernel without repeated reads, whatever the caches of a GPU; a kernel that touches only a part
// of a range is counted with all of it. Which buffers a shader loads from and stores to is found in its SPIR-V.

#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <utility>

namespace {

struct Access {
    bool read = false, written = false;
};
using Place = std::pair<uint32_t, uint32_t>; // descriptor set, binding
using Shader = std::map<Place, Access>;

struct Kernel {
    std::string name;
    Shader shader;
};
struct Bound {
    VkBuffer buffer;
    VkDeviceSize offset, range;
};
struct Commands {
    VkPipeline pipeline = VK_NULL_HANDLE;
    std::map<uint32_t, VkDescriptorSet> sets;
};
struct Sum {
    uint64_t launches = 0, read = 0, written = 0;
};

std::mutex lock;
std::unordered_map<VkShaderModule, Shader> shaders;
std::unordered_map<VkPipeline, Kernel> kernels;
std::unordered_map<VkDescriptorSet, std::map<uint32_t, Bound>> sets;
std::unordered_map<VkBuffer, VkDeviceSize> sizes;
std::unordered_map<VkCommandBuffer, Commands> commands;
std::map<std::string, Sum> sums;
uint64_t copies, copied, submits;

PFN_vkGetInstanceProcAddr next_instance;
PFN_vkGetDeviceProcAddr next_device;
VkInstance the_instance;
VkDevice the_device;

template <typename F> F next(const char *name) { return reinterpret_cast<F>(next_device(the_device, name)); }

Shader analyse(const uint32_t *words, size_t count) {
    enum { STORE = 62, LOAD = 61, VARIABLE = 59, CALL = 57, COPY_MEMORY = 63, CHAIN = 65, IN_BOUNDS_CHAIN = 66, DECORATE = 71, COPY_OBJECT = 83 };
    enum { ATOMIC_LOAD = 227, ATOMIC_STORE = 228, ATOMIC_FIRST = 229, ATOMIC_LAST = 242, SET = 34, BINDING = 33 };
    std::unordered_map<uint32_t, Place> places;
    std::unordered_map<uint32_t, uint32_t> roots;
    std::unordered_map<uint32_t, Access> found;
    auto root = [&](uint32_t id) {
        auto it = roots.find(id);
        return it == roots.end() ? id : it->second;
    };
    for (size_t at = 5; at < count;) {
        const uint32_t *w = words + at;
        const uint32_t op = w[0] & 0xffff, length = w[0] >> 16;
        if (length == 0 || at + length > count) break;
        if (op == DECORATE && length > 3 && w[2] == SET) places[w[1]].first = w[3];
        if (op == DECORATE && length > 3 && w[2] == BINDING) places[w[1]].second = w[3];
        if (op == CHAIN || op == IN_BOUNDS_CHAIN || op == COPY_OBJECT) roots[w[2]] = root(w[3]);
        if (op == LOAD || op == ATOMIC_LOAD) found[root(w[3])].read = true;
        if (op == STORE || op == ATOMIC_STORE) found[root(w[1])].written = true;
        if (op >= ATOMIC_FIRST && op <= ATOMIC_LAST) found[root(w[3])] = {true, true};
        if (op == COPY_MEMORY) found[root(w[1])].written = found[root(w[2])].read = true;
        if (op == CALL)
            for (uint32_t argument = 4; argument < length; argument++) found[root(w[argument])] = {true, true};
        at += length;
    }
    Shader shader;
    for (auto &[id, place] : places) shader[place] = found[id];
    return shader;
}

void write_counts(const char *path) {
    std::lock_guard<std::mutex> guard(lock);
    FILE *file = fopen(path, "w");
    if (!file) return;
    fprintf(file, "{\"copies\":%llu,\"copied\":%llu,\"submits\":%llu,\"kernels\":{", (unsigned long long)copies, (unsigned long long)copied,
            (unsigned long long)submits);
    const char *comma = "";
    for (auto &[name, sum] : sums) {
        fprintf(file, "%s\"%s\":{\"launches\":%llu,\"read\":%llu,\"written\":%llu}", comma, name.c_str(), (unsigned long long)sum.launches,
                (unsigned long long)sum.read, (unsigned long long)sum.written);
        comma = ",";
    }
    fprintf(file, "}}\n");
    fclose(file);
}

void wait_for_questions() {
    const char *path = getenv("DNW_TRAFFIC");
    if (!path) return;
    std::thread([path = std::string(path)] {
        const std::string ask = path + ".ask";
        for (;;) {
            if (access(ask.c_str(), F_OK) == 0) {
                write_counts(path.c_str());
                unlink(ask.c_str());
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }).detach();
}

VKAPI_ATTR VkResult VKAPI_CALL create_shader_module(VkDevice device, const VkShaderModuleCreateInfo *info, const VkAllocationCallbacks *a,
                                                    VkShaderModule *module) {
    VkResult result = next<PFN_vkCreateShaderModule>("vkCreateShaderModule")(device, info, a, module);
    std::lock_guard<std::mutex> guard(lock);
    if (result == VK_SUCCESS) shaders[*module] = analyse(info->pCode, info->codeSize / 4);
    return result;
}

VKAPI_ATTR VkResult VKAPI_CALL create_compute_pipelines(VkDevice device, VkPipelineCache cache, uint32_t count,
                                                        const VkComputePipelineCreateInfo *infos, const VkAllocationCallbacks *a,
                                                        VkPipeline *pipelines) {
    VkResult result = next<PFN_vkCreateComputePipelines>("vkCreateComputePipelines")(device, cache, count, infos, a, pipelines);
    std::lock_guard<std::mutex> guard(lock);
    for (uint32_t i = 0; i < count && result == VK_SUCCESS; i++) kernels[pipelines[i]] = {infos[i].stage.pName, shaders[infos[i].stage.module]};
    return result;
}

VKAPI_ATTR void VKAPI_CALL update_descriptor_sets(VkDevice device, uint32_t count, const VkWriteDescriptorSet *writes, uint32_t copy_count,
                                                  const VkCopyDescriptorSet *set_copies) {
    next<PFN_vkUpdateDescriptorSets>("vkUpdateDescriptorSets")(device, count, writes, copy_count, set_copies);
    std::lock_guard<std::mutex> guard(lock);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < writes[i].descriptorCount && writes[i].pBufferInfo; j++) {
            const VkDescriptorBufferInfo &info = writes[i].pBufferInfo[j];
            sets[writes[i].dstSet][writes[i].dstBinding + j] = {info.buffer, info.offset, info.range};
        }
}

VKAPI_ATTR VkResult VKAPI_CALL create_buffer(VkDevice device, const VkBufferCreateInfo *info, const VkAllocationCallbacks *a, VkBuffer *buffer) {
    VkResult result = next<PFN_vkCreateBuffer>("vkCreateBuffer")(device, info, a, buffer);
    std::lock_guard<std::mutex> guard(lock);
    if (result == VK_SUCCESS) sizes[*buffer] = info->size;
    return result;
}

VKAPI_ATTR VkResult VKAPI_CALL begin_command_buffer(VkCommandBuffer buffer, const VkCommandBufferBeginInfo *info) {
    {
        std::lock_guard<std::mutex> guard(lock);
        commands.erase(buffer);
    }
    return next<PFN_vkBeginCommandBuffer>("vkBeginCommandBuffer")(buffer, info);
}

VKAPI_ATTR void VKAPI_CALL bind_pipeline(VkCommandBuffer buffer, VkPipelineBindPoint point, VkPipeline pipeline) {
    {
        std::lock_guard<std::mutex> guard(lock);
        commands[buffer].pipeline = pipeline;
    }
    next<PFN_vkCmdBindPipeline>("vkCmdBindPipeline")(buffer, point, pipeline);
}

VKAPI_ATTR void VKAPI_CALL bind_descriptor_sets(VkCommandBuffer buffer, VkPipelineBindPoint point, VkPipelineLayout layout, uint32_t first,
                                                uint32_t count, const VkDescriptorSet *bound, uint32_t offsets, const uint32_t *dynamic) {
    {
        std::lock_guard<std::mutex> guard(lock);
        for (uint32_t i = 0; i < count; i++) commands[buffer].sets[first + i] = bound[i];
    }
    next<PFN_vkCmdBindDescriptorSets>("vkCmdBindDescriptorSets")(buffer, point, layout, first, count, bound, offsets, dynamic);
}

void count_launch(VkCommandBuffer buffer) {
    std::lock_guard<std::mutex> guard(lock);
    Commands &state = commands[buffer];
    Kernel &kernel = kernels[state.pipeline];
    Sum &sum = sums[kernel.name];
    sum.launches++;
    for (auto &[number, set] : state.sets)
        for (auto &[binding, bound] : sets[set]) {
            auto access = kernel.shader.find({number, binding});
            if (access == kernel.shader.end()) continue;
            const uint64_t range = bound.range == VK_WHOLE_SIZE ? sizes[bound.buffer] - bound.offset : bound.range;
            if (access->second.read) sum.read += range;
            if (access->second.written) sum.written += range;
        }
}

VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer buffer, uint32_t x, uint32_t y, uint32_t z) {
    count_launch(buffer);
    next<PFN_vkCmdDispatch>("vkCmdDispatch")(buffer, x, y, z);
}

VKAPI_ATTR void VKAPI_CALL dispatch_indirect(VkCommandBuffer buffer, VkBuffer counts, VkDeviceSize offset) {
    count_launch(buffer);
    next<PFN_vkCmdDispatchIndirect>("vkCmdDispatchIndirect")(buffer, counts, offset);
}

VKAPI_ATTR void VKAPI_CALL copy_buffer(VkCommandBuffer buffer, VkBuffer from, VkBuffer to, uint32_t count, const VkBufferCopy *regions) {
    {
        std::lock_guard<std::mutex> guard(lock);
        copies++;
        for (uint32_t i = 0; i < count; i++) copied += regions[i].size;
    }
    next<PFN_vkCmdCopyBuffer>("vkCmdCopyBuffer")(buffer, from, to, count, regions);
}

VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos, VkFence fence) {
    {
        std::lock_guard<std::mutex> guard(lock);
        submits++;
    }
    return next<PFN_vkQueueSubmit>("vkQueueSubmit")(queue, count, infos, fence);
}

template <typename Link> Link *chain(const void *first, VkStructureType type) {
    for (auto *link = (const VkBaseInStructure *)first; link; link = link->pNext)
        if (link->sType == type && ((const Link *)link)->function == VK_LAYER_LINK_INFO) return (Link *)link;
    return nullptr;
}

VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *a, VkInstance *instance) {
    auto *link = chain<VkLayerInstanceCreateInfo>(info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    next_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    auto create = (PFN_vkCreateInstance)next_instance(VK_NULL_HANDLE, "vkCreateInstance");
    VkResult result = create(info, a, instance);
    if (result == VK_SUCCESS) the_instance = *instance;
    return result;
}

VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *a,
                                             VkDevice *device) {
    auto *link = chain<VkLayerDeviceCreateInfo>(info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    auto instance_function = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    auto create = (PFN_vkCreateDevice)instance_function(the_instance, "vkCreateDevice");
    VkResult result = create(physical, info, a, device);
    if (result == VK_SUCCESS) the_device = *device;
    static std::once_flag once;
    std::call_once(once, wait_for_questions);
    return result;
}

PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char *name);
PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance instance, const char *name);

PFN_vkVoidFunction ours(const char *name) {
    static const std::unordered_map<std::string, PFN_vkVoidFunction> all = {
        {"vkGetInstanceProcAddr", (PFN_vkVoidFunction)instance_function},
        {"vkGetDeviceProcAddr", (PFN_vkVoidFunction)device_function},
        {"vkCreateInstance", (PFN_vkVoidFunction)create_instance},
        {"vkCreateDevice", (PFN_vkVoidFunction)create_device},
        {"vkCreateShaderModule", (PFN_vkVoidFunction)create_shader_module},
        {"vkCreateComputePipelines", (PFN_vkVoidFunction)create_compute_pipelines},
        {"vkUpdateDescriptorSets", (PFN_vkVoidFunction)update_descriptor_sets},
        {"vkCreateBuffer", (PFN_vkVoidFunction)create_buffer},
        {"vkBeginCommandBuffer", (PFN_vkVoidFunction)begin_command_buffer},
        {"vkCmdBindPipeline", (PFN_vkVoidFunction)bind_pipeline},
        {"vkCmdBindDescriptorSets", (PFN_vkVoidFunction)bind_descriptor_sets},
        {"vkCmdDispatch", (PFN_vkVoidFunction)dispatch},
        {"vkCmdDispatchIndirect", (PFN_vkVoidFunction)dispatch_indirect},
        {"vkCmdCopyBuffer", (PFN_vkVoidFunction)copy_buffer},
        {"vkQueueSubmit", (PFN_vkVoidFunction)queue_submit},
    };
    auto found = all.find(name);
    return found == all.end() ? nullptr : found->second;
}

PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char *name) {
    auto mine = ours(name);
    return mine ? mine : next_device(device, name);
}

PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance instance, const char *name) {
    auto mine = ours(name);
    return mine ? mine : next_instance(instance, name);
}

} // namespace

extern "C" VK_LAYER_EXPORT VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *layer) {
    layer->loaderLayerInterfaceVersion = 2;
    layer->pfnGetInstanceProcAddr = instance_function;
    layer->pfnGetDeviceProcAddr = device_function;
    layer->pfnGetPhysicalDeviceProcAddr = nullptr;
    return VK_SUCCESS;
}
