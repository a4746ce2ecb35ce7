#include "nic/aggregate/context_database.h"

namespace fairlead::nic {

Context* ContextDatabase::create(const ConnectionKey& key, SeqNum next, Time now) {
  Context* context = pool_.create(key, next);
  if (context == nullptr) return nullptr;
  index_.insert(*context);
  touch(*context, now);
  timers_.arm(*context, now + del_timer_);
  return context;
}

void ContextDatabase::erase(Context& context) {
  CHECK(context.aggregate == nullptr);
  timers_.disarm(context);
  index_.erase(context);
  pool_.destroy(&context);
}

}  // namespace fairlead::nic
