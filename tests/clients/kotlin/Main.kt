// Runs the guide's Kotlin: reads calls and writes results, each a line of JSON, with the runtime's calls in between.
import bookrec.contract.CatalogueBook
import bookrec.contract.RecommendationList
import com.google.firebase.database.FirebaseDatabase
import com.google.firebase.storage.FirebaseStorage
import java.io.File
import kotlinx.coroutines.runBlocking
import org.json.parse
import org.json.show

@Suppress("UNCHECKED_CAST")
private class Call(private val fields: Map<*, *>) {
    fun text(name: String) = fields[name] as String

    fun number(name: String) = (fields[name] as Number).toDouble()

    fun texts(name: String) = fields[name] as List<String>

    fun map(name: String) = fields[name] as Map<String, Any?>

    fun stars(name: String) = map(name).mapValues { (it.value as Number).toDouble() }
}

private fun shown(candidate: Candidate) = listOf(candidate.isbn, candidate.score, candidate.predictedRating, candidate.because)

private fun answer(call: Call): Any? = when (val name = call.text("call")) {
    "tree" -> null.also { FirebaseDatabase.tree = call.map("tree").toMutableMap() }
    "deny" -> null.also { FirebaseDatabase.denied = call.texts("paths") }
    "show" -> FirebaseDatabase.tree
    "bucket" -> null.also { FirebaseStorage.bucket = File(call.text("folder")) }
    "watchList" -> {
        val told = mutableListOf<RecommendationList?>()
        val end = watchList(call.text("uid"), { told += it }, { error(it.message) })
        end()
        listOf("${told.single()}", told.single()?.items?.map { it.because.size }, FirebaseDatabase.listeners.size)
    }
    "add" -> runBlocking {
        Shelf(call.text("uid")).add(CatalogueBook(title = "T", author = "A", isbn = call.text("isbn")), call.number("stars"))
    }
    "rate" -> runBlocking { Shelf("").rate(call.text("entryId"), call.text("bookId"), call.number("stars")) }.let { null }
    "remove" -> runBlocking { Shelf("").remove(call.text("entryId"), call.text("bookId")) }.let { null }
    "read" -> runBlocking { Shelf(call.text("uid")).read() }.mapValues { "${it.value}" }
    "dismiss" -> runBlocking { Dismissals(call.text("uid")).dismiss(call.text("isbn")) }.let { null }
    "undo" -> runBlocking { Dismissals(call.text("uid")).undo(call.text("isbn")) }.let { null }
    "readDismissed" -> runBlocking { Dismissals(call.text("uid")).read() }
    "listShown" -> runBlocking { listShown(call.text("uid"), call.text("listId")) }
    "changeProfile" -> runBlocking { changeProfile(call.text("uid"), mapOf("firstname" to call.text("firstname"))) }.let { null }
    "current" -> ModelStore(File(call.text("folder"))).current()?.path
    "refresh" -> try {
        runBlocking { ModelStore(File(call.text("folder"))).refresh() }.path
    } catch (problem: Exception) {
        listOf(problem.message)
    }
    "candidates" -> OnDevice(File(call.text("folder"))).use { it.candidates(call.stars("shelf")).map(::shown) }
    "predictedRatings" -> OnDevice(File(call.text("folder"))).use { it.predictedRatings(call.stars("shelf"), call.texts("of")) }
    "similarOnDevice" -> OnDevice(File(call.text("folder"))).use { it.similarTo(call.text("isbn")) }
    "similarTo" -> runBlocking { similarTo(call.text("isbn"), call.texts("without").toSet()) }
    "topTen" -> OnDevice(File(call.text("folder"))).use { model ->
        val books = call.map("catalogue").mapValues { (isbn, book) ->
            CatalogueBook(title = (book as List<*>)[0] as String, author = book[1] as String, isbn = isbn)
        }
        val shelf = call.stars("shelf")
        topTen(shelf.keys, model.candidates(shelf), model.popular) { books[it] }.map { it.isbn }
    }
    "editions" -> call.map("books").map { (title, author) -> edition(CatalogueBook(title = title, author = author as String))?.toList() }
    "userKey" -> userKey(call.text("uid"))
    "byUser" -> byUser(File(call.text("file")), call.text("uid")).map { it.toList() }
    "predictedRating" -> predictedRating(File(call.text("file")), call.text("isbn"), call.text("uid"))
    "isInB" -> isInB(call.text("id"), call.number("share"), call.text("uid"))
    else -> error("no call $name")
}

fun main() {
    while (true) {
        val line = readlnOrNull() ?: return
        println(show(mapOf("result" to answer(Call(parse(line) as Map<*, *>)))))
    }
}
